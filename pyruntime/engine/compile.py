"""Compiling in a process of its own that is confined and ends afterwards.

Compilers leave threads behind, and the module they read may be hostile. The process is a fork of this one, made while
there is one thread: it costs half a millisecond where a fresh interpreter costs ten, and holds nothing that the caller
would not show to its own child. It never enters the container's cgroup, so that a compiler needs no room there.
"""

import _signal
import fcntl
import posix as os

from pyruntime.errors import Error, Unsupported, explain_oserror
from pyruntime.kernel.process import close_range, reset_signals, set_parent_death_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.base import Engine, Limits

_OK, _REFUSED, _ABSENT = b"+", b"-", b"?"
_TEXT = 4096  # bytes of an answer that are read
_SEAL, _SEALS = 1033, 0x0F  # F_ADD_SEALS; F_SEAL_SEAL, SHRINK, GROW and WRITE
_LAST = 0xFFFFFFFF
_SIGXCPU, _SIGXFSZ = 24, 25


class CompileError(Error):
    """What the compiler says of a program, or that it died of it."""


def compiled(engine: "Engine", wasm: bytes, limits: "Limits") -> int:
    """A sealed memfd with the artefact of `engine.compile`, called in a confined child.

    Raises Unsupported when the engine cannot be loaded, and CompileError.
    """
    result = os.memfd_create("wasm", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        _judge(*_ask(engine, wasm, limits, result))
        fcntl.fcntl(result, _SEAL, _SEALS)
    except BaseException:
        os.close(result)
        raise
    return result


def _ask(engine: "Engine", wasm: bytes, limits: "Limits", result: int) -> "tuple[bytes, int]":
    """What the child answers on its pipe, and its wait status."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _work(engine, wasm, limits, result, writer)
    try:
        os.close(writer)
        answer = os.read(reader, _TEXT)
    except BaseException:  # a signal that ends the command: nothing of it may stay behind
        os.kill(child, _signal.SIGKILL)
        raise
    finally:
        os.close(reader)
        _, status = os.waitpid(child, 0)
    return answer, status


def _judge(answer: bytes, status: int) -> None:
    text = answer[1:].decode("utf-8", "replace")
    if answer.startswith(_ABSENT):
        raise Unsupported("", text)
    if answer.startswith(_REFUSED):
        raise CompileError(text)
    if answer != _OK or status:
        raise CompileError(f"the compiler's process {_ending(status)}: the module is too large for it, or breaks it")


def _ending(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return "ended without an answer"
    number = os.WTERMSIG(status)
    if number == _SIGXCPU:
        return "used up its CPU time"
    return "wrote too much" if number == _SIGXFSZ else f"was ended by signal {number}"


def _work(engine: "Engine", wasm: bytes, limits: "Limits", result: int, writer: int) -> None:
    """The child: never returns."""
    answer = _REFUSED
    try:
        set_parent_death_signal(_signal.SIGKILL)
        reset_signals()
        _keep_only(result, writer)
        answer = _answer(engine, wasm, limits, result)
    except BaseException as error:  # whatever it is, a second copy of the command must not go on
        answer += f"the compiler's process failed: {error}".encode("utf-8", "replace")
    finally:
        try:
            os.write(writer, answer[:_TEXT])
        finally:
            os._exit(0)


def _keep_only(result: int, writer: int) -> None:
    """Nothing else stays open, and the standard streams lead nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    low, high = sorted((result, writer))
    for first, last in ((3, low - 1), (low + 1, high - 1), (high + 1, _LAST)):
        if first <= last:
            close_range(first, last)


def _answer(engine: "Engine", wasm: bytes, limits: "Limits", result: int) -> bytes:
    from pyruntime.engine.confine import confine

    try:
        engine.probe()
    except Error as error:
        return _ABSENT + error.text.encode("utf-8", "replace")
    try:
        confine(len(wasm), files=engine.writes_files)
    except OSError as error:
        return _REFUSED + f"the compiler cannot be confined: {explain_oserror(error)}".encode()
    try:
        _write(result, engine.compile(wasm, limits))
    except Exception as error:  # a third party's code
        return _REFUSED + (" ".join(str(error).split()) or type(error).__name__).encode("utf-8", "replace")
    return _OK


def _write(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
