"""`create` and what `run` shares with it: from a command line to a walked plan."""

import _signal
import posix as os

from pyruntime.cli.context import Context
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
from pyruntime.steps.base import HOST
from pyruntime.steps.program import PassDescriptors
from pyruntime.walk.walker import Walker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

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
    request = Request(context.id, context.root, absolute(options.text("bundle") or "."))
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
    _enter_bundle(request.bundle)
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


def _enter_bundle(bundle: str) -> None:
    """Relative paths of the config start at the bundle, and hooks run there."""
    try:
        os.chdir(bundle)
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


def tracer(context: Context, steps: "list[Step]") -> "Callable[[int, Step], None] | None":
    """What tells the log of every step ahead of it, if it wants debug lines.

    Steps of the process that becomes the container are told only to a log apart from stderr, which is the container's,
    and only as long as it is open.
    """
    log = context.log
    if not log.debugging:
        return None
    closed = next(index for index, step in enumerate(steps) if isinstance(step, PassDescriptors))
    for step in steps:
        if type(step).__name__ == "LoadSeccomp":
            log.debug(f"seccomp filter flags: {vars(step)['flags']}")  # in runc's words, which scripts look for

    def trace(index: int, step: "Step") -> None:
        if step.lane == HOST or (log.apart and index <= closed):
            log.debug(f"step {index + 1} of {len(steps)}: {step.lane}: {step.describe()} [{step.because}]")

    return trace


def terminals(none: bool) -> "tuple[int, ...]":
    """Those of our standard streams that are a terminal; `none` where the container gets them, or one of its own."""
    return () if none else tuple(fd for fd in (0, 1, 2) if os.isatty(fd))


def window() -> "tuple[int, int]":
    """Rows and columns of the terminal on stdin; (0, 0) where there is none or it does not know."""
    try:
        columns, rows = os.get_terminal_size(0)
    except OSError:
        return 0, 0
    return rows, columns


class Interrupted(Error):
    """A signal asked the command to stop while it was setting a container up."""


_ENDING = (
    _signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2,
)  # fmt: skip


def interruptible(walker: Walker, attended: bool) -> None:
    """Let a signal that would end us undo a half-made container instead of leaving it behind.

    Once an `attended` program runs they are meant for that: who attends to it finds them in `walker.signals`.
    """

    def interrupt(number: int, frame: "FrameType | None") -> None:
        if walker.undoing:
            return
        if not (attended and walker.reached_program()):
            walker.undoing = True  # before a second signal can come
            raise Interrupted(f"interrupted by signal {number} during set-up", 128 + number)
        walker.signals.append(number)

    for number in _ENDING:
        _signal.signal(number, interrupt)
