"""Compiling in a process of its own, which ends afterwards: compilers leave threads, and read hostile bytes."""

import posix as os

from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.base import Engine, Limits

_OK, _FAILED = b"+", b"-"


def compiled(engine: "Engine", wasm: bytes, limits: "Limits") -> bytes:
    """The artefact of `engine.compile`, called in a child. Raises Error: the compiler's, or that it died."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _write(writer, _answer(engine, wasm, limits))
        os._exit(0)
    os.close(writer)
    answer = b"".join(iter(lambda: os.read(reader, 1 << 16), b""))
    os.close(reader)
    os.waitpid(child, 0)
    if not answer.startswith(_OK):
        raise Error(answer[1:].decode("utf-8", "replace") or "the compiler's process died")
    return answer[1:]


def _answer(engine: "Engine", wasm: bytes, limits: "Limits") -> bytes:
    try:
        return _OK + engine.compile(wasm, limits)
    except Exception as error:  # a third party's code; its text goes to the parent
        return _FAILED + " ".join(str(error).split()).encode("utf-8", "replace")


def _write(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
