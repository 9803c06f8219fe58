"""`resume`: let a paused container go on."""

from pyruntime.cgroup import freezer
from pyruntime.cli.context import Context
from pyruntime.cli.verbs.pause import cgroup_of
from pyruntime.errors import StateError
from pyruntime.state import life


def run(context: Context) -> int:
    """resume ID."""
    container = context.load(lock=True)
    status = life.status(container)
    if status != "paused":
        raise StateError(f"container not paused: {container.id} is {status}")
    freezer.thaw(cgroup_of(container, "resume"))
    return 0
