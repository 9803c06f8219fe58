"""Lists of numbers as the kernel's cpuset and NUMA files write them: "0-3,7"."""

from pyruntime.config.checks import quoted
from pyruntime.errors import ConfigError


def numbers(text: str, path: str, what: str, last: int) -> "list[int]":
    """The numbers of a list, in its order; blanks around them do not matter. None may be above `last`.

    `what` names them in errors ("CPUs"). Raises ConfigError.
    """
    found: "list[int]" = []
    for part in text.split(",") if text.strip() else []:
        low, dash, high = (word.strip() for word in part.partition("-"))
        if not _is_number(low) or (dash and not _is_number(high)) or int(high or low) < int(low):
            raise ConfigError(path, f'expected a list of {what} such as "0-3,7", got {quoted(text)}')
        if int(high or low) > last:
            raise ConfigError(path, f"expected {what} from 0 to {last}, got {quoted(part.strip())}")
        found.extend(range(int(low), int(high or low) + 1))
    return found


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 20
