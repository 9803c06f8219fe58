"""From argv to an exit status: parse, open the log, hand over to the verb's module."""

import _signal
import posix as os
import sys

from pyruntime.cli.context import Context
from pyruntime.cli.grammar import CommandLineError, Invocation, Options, parse
from pyruntime.errors import Error, StepError, explain_oserror
from pyruntime.report.log import Log
from pyruntime.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.cli.tracing import Tracing
    from pyruntime.steps.base import Step

_SETTINGS = "/etc/pyruntime.conf"
_TRACED = ("create", "start", "run", "exec", "delete")
_STARTERS = ("create", "run", "exec", "restore", "step")
_MODULES = {"exec": "exec_", "list": "list_"}


def main(argv: "list[str]") -> int:
    """Carry out one command line; returns the exit status. Never raises for what a user can do."""
    try:
        asked = parse(argv)
    except CommandLineError as error:
        return _usage(argv[0], error)
    if asked.verb is None or asked.help:
        return _tell(asked)
    return _carry_out(asked)


def _carry_out(asked: Invocation) -> int:
    if asked.verb in _TRACED:
        folder = os.environ.get(b"PYRUNTIME_TRACE_DIR", b"")
        settings = b"" if folder else _configuration()
        if folder or settings or asked.globals.text("trace"):
            from pyruntime.cli.tracing import traced

            return traced(asked, folder, settings, _attempt)
    return _attempt(asked)


def _configuration() -> bytes:
    """The text of the host's configuration file, if it is there and asks for anything."""
    try:
        fd = os.open(_SETTINGS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _attempt(asked: Invocation, tracing: "Tracing | None" = None) -> int:
    assert asked.verb is not None
    log = context = None
    try:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # a caller that ignores it would have the kernel reap for us
        if asked.verb in _STARTERS:
            from pyruntime.host.descriptors import close_leaked, named

            _protect()
            preserve = asked.options.number("preserve-fds") or 0 if "preserve-fds" in asked.options else 0
            close_leaked(preserve, named(asked.options.text("process") or "") if asked.verb == "exec" else -1)
        log = _log(asked.globals)
        log.debug(f"{VERSION}, pid {os.getpid()}: {' '.join([asked.verb, *asked.arguments])}")
        context = Context(asked, log, tracing)
        status = _verb(asked.verb)(context)
        log.settle()
        return status
    except KeyboardInterrupt:
        return 130
    except Error as error:
        step = error.step if isinstance(error, StepError) else None
        return _failed(log, context, asked, error.text, error.code, step)
    except OSError as error:
        return _failed(log, context, asked, explain_oserror(error), None)
    except (RecursionError, MemoryError) as error:
        lacking = "stack" if isinstance(error, RecursionError) else "memory"
        return _failed(log, context, asked, f"out of {lacking}", None)
    except Exception as error:  # ours, and the caller reads the log all the same
        from pyruntime.launch import told

        return _failed(log, context, asked, told(error), None)


def _protect() -> None:
    """What a container must not reach, before there is one. Raises Error."""
    from pyruntime.kernel.exe import LINK, protect

    try:
        protect()
    except OSError as error:
        raise Error(
            f"can't keep {LINK} from being written by a container: {explain_oserror(error)}; "
            "a kernel with open_tree or memfd_create is needed, and no filter that forbids both"
        ) from None


def _verb(name: str) -> "Callable[[Context], int]":
    module = f"pyruntime.cli.verbs.{_MODULES.get(name, name)}"
    __import__(module)
    run: "Callable[[Context], int]" = sys.modules[module].run
    return run


def _log(globals_: Options) -> Log:
    level = "debug" if globals_.flag("debug") else globals_.text("log-level") or "warning"
    return Log(globals_.text("log"), globals_.text("log-format") or "text", level)


def _failed(
    log: "Log | None",
    context: "Context | None",
    asked: Invocation,
    text: str,
    code: "int | None",
    step: "Step | None" = None,
) -> int:
    """Tell the error once and give the exit status: the error's own, else 255 for exec and 1 for the rest.

    255 for `run` in the foreground too, if its program was found and can't be executed: runc's init ends so.
    """
    prefix = "exec failed: " if asked.verb == "exec" else ""
    _say(log or _log_of(asked.globals), prefix + text, asked, context, step)
    if code is not None:
        return code
    return 255 if asked.verb == "exec" or (_of_execve(asked, text) and not asked.options.flag("detach")) else 1


def _of_execve(asked: "Invocation | None", text: str) -> bool:
    """Whether it is `run` that fails, and all that failed was to execute the program."""
    return asked is not None and asked.verb == "run" and text.startswith("exec ")


def _say(
    log: Log,
    text: str,
    asked: "Invocation | None" = None,
    context: "Context | None" = None,
    step: "Step | None" = None,
) -> None:
    """One line for whoever runs us; the same with what belongs to it for who sits at a terminal."""
    try:
        if log.on_terminal:
            from pyruntime.cli.terminal import told

            log.tell(told(asked, text, context))
            return
        if _of_execve(asked, text) and log.bare:
            from pyruntime.report.longform import Parts

            log.tell(Parts(text).error)  # as runc, which leaves the word to the container's process by then
            return
        if asked is not None and asked.prog == "runc":
            from pyruntime.cli.runcwords import wrapped

            text = wrapped(asked.verb, text, step)
    except Exception:  # no fault of the telling may hide what is to be told
        pass
    log.error(text)


def _tell(asked: Invocation) -> int:
    """Help and version, on stdout."""
    if asked.globals.flag("version"):
        from pyruntime.cli.version import text

        return _print(text(asked.prog))
    from pyruntime.cli.help import app_help, verb_help

    if asked.verb is None:
        return _print(app_help(asked.prog))
    _print(verb_help(asked.prog, asked.verb))
    # Podman takes a `checkpoint --help` that exits with 0 for the promise that checkpointing works.
    return 1 if asked.verb in ("checkpoint", "restore") else 0


def _usage(prog: str, error: CommandLineError) -> int:
    from pyruntime.cli.help import app_help, verb_help

    known = error.verb is not None
    _print("Incorrect Usage.\n\n" + (verb_help(_base(prog), error.verb or "") if known else app_help(_base(prog))))
    _say(_log_of(error.globals), error.text)
    return error.code or 1


def _log_of(globals_: "Options | None") -> Log:
    """The log that a wrong command line still named, else stderr."""
    try:
        return _log(globals_) if globals_ else Log()
    except Error:
        return Log()


def _base(prog: str) -> str:
    return prog.rpartition("/")[2]


def _print(text: str) -> int:
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(1, data) :]
    return 0
