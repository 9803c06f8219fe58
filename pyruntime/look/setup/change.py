"""A change of one file that can be taken back to the byte.

A file of ours alone is made and removed. In a file of somebody else's our lines stand between two marks, at its end;
a JSON file, which knows no comments, is kept beside itself as it was.
"""

import json
import os
from typing import Any

from pyruntime.errors import Error, explain_oserror

BEGIN, END = "# --- pyruntime: begin ---\n", "# --- pyruntime: end ---\n"
JOINED = "\n# --- pyruntime: begin, after a line that had no end ---\n"
KEPT, MADE = ".before-pyruntime", ".made-by-pyruntime"  # beside a JSON file: what it was, or that there was none


class Change:
    """`path` is the file; `shown` what will be in it, or be added."""

    def __init__(self, path: str, shown: str) -> None:
        self.path = path
        self.shown = shown

    def verb(self) -> str:
        """What writing comes to, in a word."""
        return "add to" if os.path.exists(self.path) else "make"

    def write(self) -> None:
        """Raises Error, also when it is there already with other content."""
        raise NotImplementedError

    def undo(self) -> bool:
        """Take it back; False when there was nothing of ours. Raises Error."""
        raise NotImplementedError


class OwnFile(Change):
    """A file that is all ours."""

    def write(self) -> None:
        """See Change."""
        if os.path.exists(self.path) and _read(self.path) != self.shown:
            raise Error(f"setup: {self.path} is there and not as we would write it; look at it, and remove it")
        _write(self.path, self.shown)

    def undo(self) -> bool:
        """See Change."""
        if not os.path.exists(self.path):
            return False
        if _read(self.path) != self.shown:
            raise Error(f"setup: {self.path} has been changed; remove it by hand")
        os.unlink(self.path)
        return True


class Block(Change):
    """Lines at the end of a file; `head` goes before them where there is no file yet."""

    def __init__(self, path: str, shown: str, head: str = "") -> None:
        there = os.path.exists(path) and _without_block(_read(path))
        super().__init__(path, shown if there else head + shown)

    def write(self) -> None:
        """See Change."""
        text = _without_block(_read(self.path)) if os.path.exists(self.path) else ""
        begin = BEGIN if not text or text.endswith("\n") else JOINED
        _write(self.path, f"{text}{begin}{self.shown}{END}")

    def undo(self) -> bool:
        """See Change."""
        text = _read(self.path) if os.path.exists(self.path) else ""
        rest = _without_block(text)
        if rest == text:
            return False
        if rest:
            _write(self.path, rest)
        else:
            os.unlink(self.path)
        return True


def _without_block(text: str) -> str:
    """What others wrote in a file, before our lines and after them."""
    for begin in (JOINED, BEGIN):
        before, found, after = text.partition(begin)
        if found:
            _, ended, rest = after.partition(END)
            if not ended:
                raise Error(f"setup: the lines after {begin.strip()!r} have no end mark; remove ours by hand")
            return before + rest
    return text


class JsonEntry(Change):
    """A value in a JSON file, at a path of keys."""

    def __init__(self, path: str, keys: "tuple[str, ...]", value: object) -> None:
        self.keys = keys
        self.value = value
        super().__init__(path, json.dumps(self._nested(), indent=2) + "\n")

    def _nested(self) -> object:
        found: object = self.value
        for key in reversed(self.keys):
            found = {key: found}
        return found

    def write(self) -> None:
        """See Change."""
        there = os.path.exists(_real(self.path))
        text = _read(self.path) if there else ""
        document = self._document(text)
        holder = self._holder(document)
        if holder.get(self.keys[-1]) == self.value:
            return
        holder[self.keys[-1]] = self.value
        if not os.path.exists(self.path + KEPT) and not os.path.exists(self.path + MADE):
            _write(self.path + (KEPT if there else MADE), text)
        _write(self.path, json.dumps(document, indent=2) + "\n")

    def undo(self) -> bool:
        """See Change."""
        kept = next((place for end in (KEPT, MADE) if os.path.exists(place := self.path + end)), "")
        if not kept:
            return False
        old = _read(kept)
        if self._document(_read(self.path)) != self._changed(old):
            raise Error(f"setup: {self.path} has been changed since; remove {'.'.join(self.keys)} by hand, and {kept}")
        if kept.endswith(KEPT):
            _write(self.path, old)
        else:
            os.unlink(self.path)
        os.unlink(kept)
        return True

    def _changed(self, text: str) -> Any:
        document = self._document(text)
        self._holder(document)[self.keys[-1]] = self.value
        return document

    def _holder(self, document: Any) -> Any:
        """The object that has, or gets, our key; objects on the way are made."""
        for key in self.keys[:-1]:
            document = document.setdefault(key, {})
            if not isinstance(document, dict):
                raise Error(f"setup: {key} in {self.path} is no object; mend it first")
        return document

    def _document(self, text: str) -> Any:
        try:
            found = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            raise Error(f"setup: {self.path} is not JSON: {error}; mend it first") from None
        if not isinstance(found, dict):
            raise Error(f"setup: {self.path} holds no object; mend it first")
        return found


def _real(path: str) -> str:
    """The file a path stands for. Raises Error for a link that leads nowhere."""
    if os.path.islink(path) and not os.path.exists(path):
        raise Error(f"setup: {path} is a link that leads nowhere; mend it first")
    return os.path.realpath(path)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        told = explain_oserror(error) if isinstance(error, OSError) else f"{path} is not UTF-8"
        raise Error(f"setup: {told}") from None


def _write(path: str, text: str) -> None:
    """Replace the file whole, with its mode; folders on the way are made, and a link stays one."""
    path = _real(path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
        with open(f"{path}.new", "w", encoding="utf-8", newline="") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise Error(f"setup: {explain_oserror(error)}; are you root?") from None
