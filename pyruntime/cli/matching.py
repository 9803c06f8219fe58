"""`--regex`: one act on every container whose id matches."""

from pyruntime.cli.context import Context
from pyruntime.errors import Error, StateError, UsageError, explain_oserror
from pyruntime.state import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def each(context: Context, act: "Callable[[store.Container], None]", lock: bool = False) -> int:
    """Do `act` to each container whose id the first argument, a regular expression, finds a match in.

    The search is not anchored; no match is no error. One that fails does not save the others. Raises UsageError for a
    bad expression, Error that names every container `act` failed on.
    """
    matching = _matching(context)
    failures = [failure for name in matching if (failure := _attempt(context.root, name, act, lock))]
    if failures:
        raise Error(f"{len(failures)} of {len(matching)} containers: {'; '.join(failures)}")
    return 0


def _matching(context: Context) -> "list[str]":
    import re

    try:
        pattern = re.compile(context.arguments[0])
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--regex {context.arguments[0]!a}: not a regular expression: {error}") from None
    return [name for name in context.ids() if pattern.search(name)]


def _attempt(root: str, name: str, act: "Callable[[store.Container], None]", lock: bool) -> str:
    """What went wrong, "" if nothing did. A container that vanished meanwhile needs no act."""
    try:
        container = store.load(root, name, lock)
    except StateError as error:
        return "" if "does not exist" in error.text else f"{name}: {error.text}"
    try:
        act(container)
    except Error as error:
        return f"{name}: {error.text}"
    except OSError as error:
        return f"{name}: {explain_oserror(error)}"
    finally:
        container.close()
    return ""
