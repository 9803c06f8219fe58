"""C libraries of engines that the administrator installed: where they lie, whose they may be, their functions' shapes.

A shape is the parameters' letters, `>`, the result's letter:
P a pointer   Q uint64_t or size_t   I uint32_t, int or enum   ? bool   B uint8_t   T a Text, by value
"""

import _ctypes
import posix as os

from pyruntime.engine.cdata import RTLD_NOW, Bool, Byte, Char, Function, Int32, Pointer, Size, address, buffer
from pyruntime.engine.find import untrusted
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETTING = b"PYRUNTIME_WASM_LIBRARY_PATH"
_SYSTEM = ("/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/usr/lib")


class Text(_ctypes.Structure):
    """A text as WasmEdge_String has it: 32 bits of length, then the address."""

    _fields_ = (("length", Int32), ("content", Pointer))


_TYPES = {"P": Pointer, "Q": Size, "I": Int32, "?": Bool, "B": Byte, "T": Text}


class Library:
    """A loaded library: its functions are attributes. One that is optional and not there is None."""

    def __init__(
        self, engine: str, path: str, shapes: "dict[str, str]", optional: "dict[str, str] | None" = None
    ) -> None:
        """Load the library at `path`, as it is. Raises Error when it can't be loaded or lacks a function."""
        try:
            handle = _ctypes.dlopen(path, RTLD_NOW)
        except OSError as error:
            raise Error(f"engine {engine}: {error}; install it again, with the libraries it needs") from None
        for name, shape in shapes.items():
            found = _function(handle, name, shape)
            if found is None:
                raise Error(f"engine {engine}: {path} has no function {name}; install a version that has it")
            setattr(self, name, found)
        for name, shape in (optional or {}).items():
            setattr(self, name, _function(handle, name, shape))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> "Any": ...


def _function(handle: int, name: str, shape: str) -> "Any":
    try:
        function = Function(_ctypes.dlsym(handle, name))
    except OSError:
        return None
    parameters, _, result = shape.partition(">")
    function.argtypes = tuple(_TYPES[letter] for letter in parameters)
    function.restype = _TYPES[result] if result else None
    return function


def seek_library(engine: str, names: "tuple[str, ...]", advice: str) -> str:
    """The path of the first library in `directories()` that has one of the names, without symbolic links.

    Raises Error when there is none (`advice` says how to install it), or when somebody who is neither root, nor this
    user, nor the owner of pyruntime could change the one found.
    """
    for directory in directories():
        for name in names:
            path = _resolved(f"{directory}/{name}")
            if path:
                refused = untrusted(directory) or untrusted(path)
                if refused:
                    raise Error(f"engine {engine}: {refused}; install the library as root")
                return path
    raise Error(f"engine {engine}: no {names[0]} in {', '.join(directories())}; {advice}")


def identity(path: str) -> str:
    """What tells this library from another version, or another build, of it. Raises OSError."""
    found = os.stat(path)
    return f"{path.rpartition('/')[2]} {found.st_size} {found.st_mtime_ns}"


def directories() -> "list[str]":
    """Where libraries are looked for: the setting's absolute directories, then the system's."""
    machine = os.uname().machine
    asked = os.environ.get(SETTING, b"").decode("utf-8", "surrogateescape").split(":")
    own = [directory.rstrip("/") for directory in asked if directory.startswith("/")]
    multiarch = [f"{root}/{machine}-linux-gnu" for root in ("/usr/local/lib", "/usr/lib")]
    return list(dict.fromkeys(["/" + directory.lstrip("/") for directory in own] + multiarch + list(_SYSTEM)))


def _resolved(path: str) -> str:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def text_at(start: "int | None") -> str:
    """The NUL-terminated text at an address, "" for NULL."""
    content = bytearray()
    while start and (byte := Char.from_address(start).value) != b"\0":
        content += byte
        start += 1
    return content.decode("utf-8", "replace")


def text(content: str) -> Text:
    """A Text that holds `content`, which lives as long as it."""
    data = buffer(content.encode("utf-8", "surrogateescape"))
    made = Text(len(data), address(data))
    made.data = data
    return made


def text_of(given: Text) -> str:
    """The content of a Text."""
    size = given.length
    return bytes((Char * size).from_address(given.content)).decode("utf-8", "replace") if size else ""
