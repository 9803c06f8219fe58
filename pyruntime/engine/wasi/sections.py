"""The names of a component's imports, read from its binary before anything is compiled.

A component of a later level of WASI uses types that the engine does not know, and its words for that do not help.
Format: component-model/design/mvp/Binary.md.
"""

_IMPORT = 10  # the id of an import section
_HEADER = 8
_INDEX, _BOUND = (1, 4, 5), 3  # kinds of externdesc that end with one index; a type's bound


class _Reader:
    """A place in a binary. What ends too early raises IndexError."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """An unsigned LEB128 of at most 32 bits."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise IndexError

    def text(self) -> str:
        size = self.number()
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", "replace")


def imports(binary: bytes) -> "list[str]":
    """The names, as far as the binary can be understood; the engine says what is wrong with the rest."""
    names: "list[str]" = []
    reader = _Reader(binary, _HEADER)
    try:
        while reader.at < len(binary):
            kind, size = reader.byte(), reader.number()
            if kind == _IMPORT:
                _section(_Reader(binary, reader.at), names)
            reader.at += size
    except IndexError:
        pass  # cut off
    return names


def _section(reader: _Reader, names: "list[str]") -> None:
    for _ in range(reader.number()):
        if reader.byte() > 1:
            return  # a form of name that is not known here
        names.append(reader.text())
        if not _skip(reader):
            return


def _skip(reader: _Reader) -> bool:
    """Pass over an externdesc; whether it was understood."""
    kind = reader.byte()
    if kind == 0:
        reader.byte()  # a core module
    elif kind == _BOUND:
        if reader.byte() == 1:  # a resource: there is no index
            return True
    elif kind not in _INDEX:
        return False
    reader.number()
    return True
