"""The second half of bin/pyruntime: the part that Python keeps compiled.

Everything between the interpreter's start and `cli.main`: standard streams that are really there, and the promise
that a user never meets a traceback. Nothing here may fail for what the caller's environment holds.
"""

import gc
import posix as os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

INTERRUPTED = 130  # 128 + SIGINT, sh(1)


def launch(argv: "list[str]") -> int:
    """Run the command line and return its exit status. Whatever escapes becomes one line on standard error."""
    try:
        fill_standard_streams()
        from pyruntime.cli.main import main

        gc.freeze()
        gc.enable()
        return main(argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:
        return _status(leaving)
    except BaseException as error:
        _say(told(error))
        return 1


def fill_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed, or the next file opened would be taken for one.

    Raises OSError when the kernel has no /dev/null for us.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)


def told(error: BaseException) -> str:
    """An error nobody caught, in one line: its kind, its words and the line of code it came from."""
    words = " ".join(str(error).split())
    kind = type(error).__name__
    return f"internal error: {kind}{': ' if words else ''}{words} ({_origin(error.__traceback__)}); please report it"


def _origin(trace: "TracebackType | None") -> str:
    """`folder/file.py:line` of the innermost frame."""
    where = "unknown place"
    while trace is not None:
        folders = trace.tb_frame.f_code.co_filename.split("/")
        where = f"{'/'.join(folders[-2:])}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def _status(leaving: SystemExit) -> int:
    """The exit status a SystemExit asks for, its text told: as the interpreter would."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code
    _say(str(leaving.code))
    return 1


def _say(text: str) -> None:
    """Write one line to standard error, also when `sys.stderr` was never made; a reader who left is no error."""
    try:
        os.write(2, f"pyruntime: {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return
