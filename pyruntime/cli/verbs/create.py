"""`create` and what `run` shares with it: from a command line to a walked plan."""

import posix as os

from pyruntime.cgroup.devices import unknown_letters
from pyruntime.cli.context import Context
from pyruntime.cli.walking import interruptible, terminals, tracer, window
from pyruntime.config.load import load_config
from pyruntime.config.spec import Config
from pyruntime.config.validate import validate
from pyruntime.engine.select import detect
from pyruntime.errors import ConfigError, Error, explain_oserror
from pyruntime.host import facts as host
from pyruntime.host.descriptors import listen_fds
from pyruntime.host.view import View
from pyruntime.kernel.paths import O_PATH
from pyruntime.pathtext import absolute
from pyruntime.plan import identity, life, seccomp
from pyruntime.plan.request import Request
from pyruntime.plan.rootfs import destination, root_path
from pyruntime.walk.walker import Walker

__all__ = ["check", "gather", "plan", "prepare", "run", "start", "terminals", "window"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.steps.base import Step


def run(context: Context) -> int:
    """create ID."""
    config, request = prepare(context)
    if config.process is not None and config.process.terminal and not request.console_socket:
        raise Error(
            "process.terminal: cannot allocate tty if runc will detach without setting console socket; "
            "give --console-socket, set process.terminal to false, or use run"
        )
    refuse_console_socket(config, request)
    start(context, config, request)
    return 0


def prepare(context: Context) -> "tuple[Config, Request]":
    """Read and check the configuration, and what the command line adds to it. Raises Error before anything is made."""
    options = context.options
    context.take_folder_for_bundle()
    request = Request(context.id, context.root, absolute(options.text("bundle") or context.folder or "."))
    request.pid_file = _absolute(options.text("pid-file"))
    request.console_socket = _absolute(options.text("console-socket"))
    request.pidfd_socket = _absolute(options.text("pidfd-socket"))
    request.pivot = not options.flag("no-pivot")
    request.keyring = not options.flag("no-new-keyring")
    request.listen_fds = listen_fds()
    request.preserve_fds = options.number("preserve-fds") or 0
    request.notify_socket = os.environ.get(b"NOTIFY_SOCKET", b"").decode("utf-8", "surrogateescape")
    request.cgroups = context.cgroup_manager != "disabled"
    request.systemd = context.cgroup_manager == "systemd"
    config_file = _absolute(options.text("config")) or f"{request.bundle}/config.json"
    context.config_file = config_file
    request.bundle = _enter_bundle(request.bundle)
    return check(config_file), request


def check(config_file: str) -> Config:
    """The configuration in this file: sound, and asking for nothing that pyruntime does not have. Raises Error."""
    try:
        config = load_config(config_file)
    except ConfigError as error:
        if not error.path.startswith("process.user."):
            raise
        from pyruntime.cli.names import numbered  # only for an error

        raise numbered(error, config_file) from None
    validate(config)
    return config


def _absolute(path: "str | None") -> str:
    return absolute(path) if path else ""


def _enter_bundle(bundle: str) -> str:
    """Relative paths of the config start there, and hooks run there. Returns its path without links, as runc has it."""
    try:
        os.chdir(bundle)
        return os.getcwd()
    except OSError as error:
        raise Error(f"--bundle {explain_oserror(error)}") from None


def refuse_console_socket(config: Config, request: Request) -> None:
    """A console socket without a terminal is a mistake of the caller."""
    if request.console_socket and not (config.process and config.process.terminal):
        raise Error(
            "--console-socket: cannot use console socket if runc will not detach or allocate tty; "
            "set process.terminal to true or leave the socket out"
        )


def gather(context: Context, config: Config, request: Request) -> host.Facts:
    """The facts for this container: ids, cgroup tree, and whether the program is a Wasm module."""
    facts = host.gather(request.cgroups, context.rootless)
    if facts.euid and config.linux.namespace("user") is None:
        raise ConfigError(
            "linux.namespaces",
            'rootless container requires user namespaces; add {"type": "user"} with linux.uidMappings and gidMappings, '
            "as `spec --rootless` writes them, or be root",
        )
    if request.systemd:
        host.ask_systemd(facts)
    path = life.cgroup_path(config, request, facts)
    if path:
        host.add_controllers(facts, path)
    if asks_for_more(config):
        from pyruntime.cli import demands  # few configurations name what most hosts lack

        demands.demand(config, facts)
    rootfs = root_path(config, request.bundle)
    root_fd = open_rootfs(rootfs)
    try:
        facts.module = detect(config, View(root_fd, will_mount(config, request)).open)
    finally:
        os.close(root_fd)
    return facts


def will_mount(config: Config, request: Request) -> "list[tuple[str, str]]":
    """For `View`: what will be mounted where."""
    bound = {"bind", "rbind"}
    return [
        (
            destination(config, request.bundle, each),
            absolute(each.source, request.bundle) if bound.intersection([each.type, *each.options]) else "",
        )
        for each in config.mounts
    ]


def asks_for_more(config: Config) -> bool:
    """Whether the configuration names something that `cli.demands` has to look for on this host."""
    process, linux = config.process, config.linux
    labels = bool(process and (process.apparmorProfile or process.selinuxLabel)) or bool(linux.mountLabel)
    return labels or linux.intelRdt is not None or bool(linux.netDevices)


def open_rootfs(rootfs: str) -> int:
    """The rootfs as a directory that is no link, checked before anything is made. Raises Error."""
    try:
        fd = os.open(rootfs, O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise Error(
            f"root.path: invalid rootfs: {explain_oserror(error)}; it is looked for relative to the bundle, and "
            "pyruntime spec --busybox makes one"
        ) from None
    real = os.readlink(f"/proc/self/fd/{fd}")
    if real != rootfs:
        os.close(fd)
        raise Error(f"root.path: invalid rootfs: {rootfs} is not an absolute path, or a symlink (it leads to {real})")
    return fd


def plan(config: Config, request: Request, facts: host.Facts) -> "tuple[list[Step], list[str]]":
    """The steps, and what the user is to be warned of; `explain` shows what this returns. Raises ConfigError."""
    warnings = identity.warnings(config.process) if config.process else []
    if config.linux.personality is not None and config.linux.personality.flags:
        warnings.append("linux.personality.flags: no flag is known to the spec or the kernel; they have no effect")
    devices = config.linux.resources.devices if config.linux.resources else []
    warnings += [f"{path}: {text}" for path, text in unknown_letters(devices)]
    profile, more = seccomp.compiled(config.linux.seccomp, facts)
    return life.create(config, request, facts, profile), [*warnings, *more]


def start(context: Context, config: Config, request: Request) -> Walker:
    """Plan and walk. Raises Error; by then what was made is undone."""
    steps, warnings = plan(config, request, gather(context, config, request))
    for text in warnings:
        context.log.warning(text)
    walker = Walker(steps, tracer(context, steps))
    if context.watcher is not None:
        context.watcher.watch(walker)
    interruptible(walker, request.foreground)
    walker.walk()
    return walker
