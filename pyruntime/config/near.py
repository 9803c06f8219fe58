"""What was probably meant: the known word near a misspelt one, the number behind a size in words. For errors only."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
    from difflib import SequenceMatcher  # for an error only

    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def did_you_mean(word: str, known: "Iterable[str]", form: str = "{}") -> str:
    """`; did you mean …?`, or "" when nothing is near. `form` dresses the word."""
    found = nearest(word, known)
    return f"; did you mean {form.format(found)}?" if found else ""


_LONGEST = 24  # digits
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def number_meant(text: str) -> str:
    """` (= N?)` for a number or a size in words such as "64M" or "1.5 GiB", "" for anything else."""
    word = text.strip().lower().removesuffix("b").removesuffix("i")
    amount = word.rstrip("kmgt").rstrip(" ")
    unit = word[len(amount) :].strip()
    whole, _, fraction = amount.partition(".")
    plain = whole and amount.isascii() and (whole + fraction).isdecimal() and len(amount) < _LONGEST
    if unit not in _UNITS or not plain:
        return ""
    value = int(whole + fraction) << _UNITS[unit]
    return f" (= {value // 10 ** len(fraction)}?)" if value % 10 ** len(fraction) == 0 else ""
