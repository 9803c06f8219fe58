"""`exec`: another process in a running container."""

import posix as os

from pyruntime.cgroup.tree import sub_path
from pyruntime.cli.context import Context
from pyruntime.cli.grammar import DIGITS
from pyruntime.cli.walking import interruptible, terminals, tracer, window
from pyruntime.config.load import load_process, load_process_of
from pyruntime.config.process import Capabilities, Process
from pyruntime.config.rules.process import validate_process
from pyruntime.engine.select import detect_joined
from pyruntime.errors import ConfigError, Error, StateError, UsageError
from pyruntime.host.descriptors import listen_fds, named
from pyruntime.host.facts import Facts
from pyruntime.host.view import View
from pyruntime.kernel import ns
from pyruntime.kernel.paths import O_PATH
from pyruntime.pathtext import absolute
from pyruntime.plan import identity
from pyruntime.plan.join import join
from pyruntime.plan.request import Request
from pyruntime.state import life
from pyruntime.state.store import Container
from pyruntime.walk.walker import Walker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.select import Selection

_ID_MAX = 2**32 - 2


def run(context: Context) -> int:
    """exec [FLAGS] ID COMMAND [ARGUMENT...], or exec --process FILE ID."""
    process_file = context.options.text("process")
    if not process_file and len(context.arguments) < 2:
        raise UsageError("exec args cannot be empty: give a command after the id, or --process FILE")
    file = absolute(process_file) if process_file else ""
    container = context.load()
    _check_status(context, container)
    process = from_file(file, container) if file else from_flags(context, container)
    request = _request(context, container)
    detach = context.options.flag("detach")
    _check_terminal(process, request, detach)
    request.foreground = not detach
    request.terminals = terminals(detach or process.terminal)
    if process.terminal and not detach:
        request.window = window()
    for text in identity.warnings(process):
        context.log.warning(text)
    facts = _facts(process, container)
    steps = join(container, process, request, facts, _sub_cgroup(context), _apart(container))
    walker = Walker(steps, tracer(context, steps))
    if context.watcher is not None:
        context.watcher.watch(walker)
    interruptible(walker, request.foreground)
    walker.walk()
    if detach:
        return 0
    from pyruntime.walk.foreground import attend

    context.log.settle()
    return attend(walker)


def _apart(container: Container) -> "list[str]":
    """What init did not get by config.json, and shares with who created it and not with us; its root we chroot to."""
    told = (*container.own.get("namespaces", []), "mount")
    return ns.apart(container.pid, [kind for kind in ns.FILES if kind not in told])


def _facts(process: Process, container: Container) -> Facts:
    facts = Facts()
    facts.module = _module(process, container)
    if process.apparmorProfile or process.selinuxLabel:
        from pyruntime.cli.demands import demand_process

        demand_process(process, facts)
    return facts


def _module(process: Process, container: Container) -> "Selection | None":
    """The module that is to run. Looked for through the root of init, by no more rights than the command has.

    Init may be out of reach for an ordinary user, or end: opening its namespaces says so, better than this could.
    """
    try:
        root = os.open(f"/proc/{container.pid}/root", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not life.init_pid(container):  # only now is it known that the root was init's and not a later process's
            return None
        annotations = container.own["annotations"]
        return detect_joined(process, annotations, View(root, []).open)
    finally:
        os.close(root)


def _check_status(context: Context, container: Container) -> None:
    status = life.status(container)
    if status == "stopped" or status == "creating":
        raise StateError(f"cannot exec in a {status} container: {container.id}")
    if status == "paused" and not context.options.flag("ignore-paused"):
        raise StateError("cannot exec in a paused container (use --ignore-paused to override)")


def _request(context: Context, container: Container) -> Request:
    options = context.options
    request = Request(container.id, container.root, str(container.own.get("bundle", "")))
    for name in ("console_socket", "pidfd_socket", "pid_file"):
        path = options.text(name.replace("_", "-"))
        setattr(request, name, absolute(path) if path else "")
    request.listen_fds = listen_fds()
    request.preserve_fds = options.number("preserve-fds") or 0
    return request


def _check_terminal(process: Process, request: Request, detach: bool) -> None:
    if detach and process.terminal and not request.console_socket:
        raise Error(
            "process.terminal: cannot allocate tty if runc will detach without setting console socket; "
            "give --console-socket or leave --tty out"
        )
    if request.console_socket and not (detach and process.terminal):
        raise Error("--console-socket: cannot use console socket if runc will not detach or allocate tty")


def _sub_cgroup(context: Context) -> "str | None":
    """--cgroup: a cgroup below the container's; v2 has one tree, so a list of controllers before a colon is refused."""
    given = context.options.many("cgroup")
    if not given:
        return None
    if len(given) > 1 or ":" in given[0]:
        raise UsageError(f"--cgroup {given[-1]}: cgroup v2 has one tree; give one path below the container's cgroup")
    return sub_path("", given[0])


def from_file(path: str, container: Container) -> Process:
    """The process of --process FILE; what is the container's and the file leaves unset comes from its first process."""
    fd = named(path)  # opened anew, a pipe would not wait for its writer
    process = _settled(load_process(path, fd), container)
    if fd > 2 and os.get_inheritable(fd):  # those to pass on are marked
        os.close(fd)
    return process


def _settled(process: Process, container: Container) -> Process:
    first = Process.read(container.own["process"], "process")
    for name in ("capabilities", "scheduler", "ioPriority", "execCPUAffinity", "oomScoreAdj"):
        if not process.given(name) and first.given(name):
            process = process.replace(**{name: getattr(first, name)})
    for name in ("apparmorProfile", "selinuxLabel"):  # an empty one is none, and never less than the container has
        if not getattr(process, name) and getattr(first, name):
            process = process.replace(**{name: getattr(first, name)})
    if first.noNewPrivileges:  # callers leave a false out, so one that is missing gives no leave
        process = process.replace(noNewPrivileges=True)
    if not process.rlimits and first.rlimits:
        process = process.replace(rlimits=first.rlimits)
    if process.user.umask is None and first.user.umask is not None:
        process = process.replace(user=process.user.replace(umask=first.user.umask))
    validate_process(process, "process")
    return process


def from_flags(context: Context, container: Container) -> Process:
    """The process of the bundle's config.json as it is now, changed by the flags."""
    options = context.options
    process = load_process_of(f"{container.own['bundle']}/config.json")
    if process is None:
        raise ConfigError("process", "process property must not be empty")
    process = process.replace(
        args=context.arguments[1:],
        env=[*process.env, *options.many("env")],
        terminal=options.flag("tty"),
        user=_user(context, process),
    )
    if options.text("cwd"):
        process = process.replace(cwd=options.text("cwd"))
    for flag, name in (("process-label", "selinuxLabel"), ("apparmor", "apparmorProfile")):
        if options.text(flag):
            process = process.replace(**{name: options.text(flag)})
    if options.flag("no-new-privs"):
        process = process.replace(noNewPrivileges=True)
    if options.many("cap"):
        process = process.replace(capabilities=_with_caps(process.capabilities, options.many("cap")))
    return _settled(process, container)


def _user(context: Context, process: Process) -> "object":
    user = process.user
    word = context.options.text("user")
    if word:
        uid, colon, gid = word.partition(":")
        user = user.replace(uid=_number(uid, "--user"))
        if colon:
            user = user.replace(gid=_number(gid, "--user"))
    more = [_number(gid, "--additional-gids") for gid in context.options.many("additional-gids")]
    return user.replace(additionalGids=[*user.additionalGids, *more]) if more else user


def _number(word: str, flag: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < DIGITS) or int(word) > _ID_MAX:
        raise UsageError(
            f"{flag}: expected a number from 0 to {_ID_MAX}, got {word[:64]!a}; "
            "names are not looked up in the container"
        )
    return int(word)


def _with_caps(sets: "Capabilities | None", more: "list[str]") -> Capabilities:
    """--cap adds to bounding, effective and permitted, and to ambient where there is an inheritable set."""
    sets = sets or Capabilities()
    added = {name: [*getattr(sets, name), *more] for name in ("bounding", "effective", "permitted")}
    if sets.inheritable:
        added["ambient"] = [*sets.ambient, *more]
    return sets.replace(**added)
