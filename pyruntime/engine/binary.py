"""What is read and changed in a module's bytes without an engine (WebAssembly core specification 2.0, chapter 5)."""

from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 1 << 16  # bytes of a page of memory
_PAGES = 1 << 16  # of a memory with 32-bit addresses
_CUSTOM, _IMPORT, _MEMORY, _START = 0, 2, 5, 8  # section ids
_HEAD = 8  # magic and version
_MAXIMUM = 1  # flag of a memory's limits


def pages(size: int) -> int:
    """How many pages fit into so many bytes, as the 32-bit number that engines take."""
    return min(size // PAGE, _PAGES)


def without_custom(wasm: bytes, name: bytes) -> bytes:
    """The module without its custom sections of this name. Raises Error when the sections' sizes do not add up."""
    kept = [wasm[:_HEAD]]
    for kind, start, content, end in sections(wasm):
        if kind != _CUSTOM or _name(wasm, content, end) != name:
            kept.append(wasm[start:end])
    return b"".join(kept)


def has_start(wasm: bytes) -> bool:
    """Whether a function of the module runs as soon as it is instantiated. Raises Error."""
    return any(kind == _START for kind, *_ in sections(wasm))


def has_import(wasm: bytes, name: bytes) -> bool:
    """Whether something that the module imports has this name. Raises Error."""
    word = bytes((len(name),)) + name  # no name is so long that its length takes a second byte
    return any(kind == _IMPORT and wasm.find(word, content, end) >= 0 for kind, _, content, end in sections(wasm))


def memories(wasm: bytes) -> "list[int]":
    """The pages that each memory of the module begins with. Raises Error."""
    found = []
    for kind, _, content, _ in sections(wasm):
        if kind == _MEMORY:
            count, place = _number(wasm, content)
            for _ in range(count):
                least, after = _number(wasm, place + 1)
                found.append(least)
                place = _number(wasm, after)[1] if wasm[place] & _MAXIMUM else after
    return found


def sections(wasm: bytes) -> "Iterator[tuple[int, int, int, int]]":
    """Each section's id, its start, the start of its content, its end. Raises Error when sizes do not add up."""
    start = _HEAD
    while start < len(wasm):
        size, content = _number(wasm, start + 1)
        end = content + size
        if end > len(wasm):
            raise Error("not a valid Wasm module: a section is longer than the file")
        yield wasm[start], start, content, end
        start = end


def _name(wasm: bytes, content: int, end: int) -> bytes:
    size, start = _number(wasm, content)
    return wasm[start : min(start + size, end)]


def _number(wasm: bytes, start: int) -> "tuple[int, int]":
    """The unsigned LEB128 number at `start`, and where it ends. Raises Error past 10 bytes or the end."""
    value = 0
    for index, byte in enumerate(wasm[start : start + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, start + index + 1
    raise Error("not a valid Wasm module: a number in it has no end")
