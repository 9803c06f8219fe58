"""`pause`: freeze every process of a container."""

from pyruntime.cgroup import freezer
from pyruntime.cli.context import Context
from pyruntime.errors import Error, StateError
from pyruntime.state import life
from pyruntime.state.store import Container


def run(context: Context) -> int:
    """pause ID; returns when all of it stands still."""
    container = context.load(lock=True)
    status = life.status(container)
    if status not in ("created", "running"):
        raise StateError(f"container not running: {container.id} is {status}")
    freezer.freeze(cgroup_of(container, "pause"))
    return 0


def cgroup_of(container: Container, verb: str) -> str:
    """The container's cgroup. Raises Error where it has none, for `verb` can't do without."""
    if not container.cgroup:
        raise Error(
            f"cannot {verb} {container.id}: it has no cgroup of its own; "
            "create it without --cgroup-manager disabled, or with permission to make cgroups"
        )
    return container.cgroup
