"""The known word that a misspelt one was probably meant to be."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_ALIKE = 0.75  # of 1: below it words have little in common
_SHORT = 4  # letters: a shorter word has nothing near it but itself in other case, and what begins with it


def nearest(word: str, known: "Iterable[str]") -> "str | None":
    """The best match among `known`, None when nothing is near; case, `_`, `-` and a plural's s hardly count."""
    plain = _plain(word)
    scored = [(_score(plain, _plain(other)), other) for other in known if other != word]
    best = max(scored, default=(0.0, ""))
    return best[1] if best[0] >= _ALIKE else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _score(one: str, other: str) -> float:
    if one == other or one.rstrip("s") == other.rstrip("s"):
        return 1.0
    least, most = sorted((len(one), len(other)))
    if least > 2 and (one.startswith(other) or other.startswith(one)):
        return 0.9 + least / most / 20
    if least < _SHORT or most - least > 3:
        return 0.0
    if sorted(one) == sorted(other):
        return 0.95
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def did_you_mean(word: str, known: "Iterable[str]", form: str = "{}") -> str:
    """`; did you mean …?`, or "" when nothing is near. `form` dresses the word."""
    found = nearest(word, known)
    return f"; did you mean {form.format(found)}?" if found else ""
