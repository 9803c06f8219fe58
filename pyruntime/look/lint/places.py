"""The lines of a JSON text at which its values stand. Only for texts that were parsed already."""

import re
from json.decoder import scanstring  # type: ignore[attr-defined]

_BLANK = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^,\]}\s]+")


def lines(text: str) -> "dict[str, int]":
    """Config path → line, counted from 1, of its key (or of the element, in a list)."""
    reader = _Reader(text)
    reader.value("", reader.skip(0))
    return reader.found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.found: "dict[str, int]" = {}
        self._line, self._at = 1, 0

    def skip(self, at: int) -> int:
        """The next place that is no white space."""
        return _BLANK.match(self.text, at).end()  # type: ignore[union-attr]

    def note(self, path: str, at: int) -> None:
        self._line += self.text.count("\n", self._at, at)
        self._at = at
        self.found.setdefault(path, self._line)

    def value(self, path: str, at: int) -> int:
        """Read one value at `at` and return the place after it."""
        letter = self.text[at]
        if letter == "{":
            return self._object(path, at + 1)
        if letter == "[":
            return self._list(path, at + 1)
        if letter == '"':
            end: int = scanstring(self.text, at + 1)[1]
            return end
        return _SCALAR.match(self.text, at).end()  # type: ignore[union-attr]

    def _object(self, path: str, at: int) -> int:
        at = self.skip(at)
        while self.text[at] != "}":
            key, after = scanstring(self.text, at + 1)
            plain = f"{path}.{key}" if path else key
            for name in (plain, f'{path}["{key}"]'):
                self.note(name, at)
            # Paths go on as a record's or as a map's; which it is, only the records know.
            at = self.skip(self.value(plain, self.skip(self.skip(after) + 1)))
            if self.text[at] == ",":
                at = self.skip(at + 1)
        return at + 1

    def _list(self, path: str, at: int) -> int:
        at, index = self.skip(at), 0
        while self.text[at] != "]":
            self.note(f"{path}[{index}]", at)
            at, index = self.skip(self.value(f"{path}[{index}]", at)), index + 1
            if self.text[at] == ",":
                at = self.skip(at + 1)
        return at + 1


def line_of(path: str, found: "dict[str, int]") -> "int | None":
    """The line of a path, or of the nearest one above it that is in the text."""
    while path:
        if path in found:
            return found[path]
        path = _above(path)
    return None


def _above(path: str) -> str:
    cut = max(path.rfind("."), path.rfind("["))
    return path[:cut] if cut > 0 else ""
