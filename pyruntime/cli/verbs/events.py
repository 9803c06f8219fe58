"""`events`: statistics and out-of-memory kills, one JSON object a line."""

from time import monotonic

from pyruntime.cgroup.oom import Watch
from pyruntime.cgroup.stats import stats
from pyruntime.cli.context import Context, write_out
from pyruntime.cli.verbs.pause import cgroup_of
from pyruntime.errors import StateError, UsageError
from pyruntime.report.jsonout import dumps
from pyruntime.state import life


def run(context: Context) -> int:
    """events [--interval TIME] [--stats] ID; ends with the container's last process, or with its reader."""
    interval = context.options.seconds("interval") or 0.0
    if interval <= 0:
        raise UsageError("--interval: duration interval must be greater than 0, as in 500ms or 5s")
    container = context.load()
    status = life.status(container)
    if status == "stopped":
        raise StateError(f"container with id {container.id} is not running")
    cgroup = cgroup_of(container, "report on")
    try:
        if context.options.flag("stats"):
            _tell("stats", container.id, stats(cgroup))
        else:
            _follow(container.id, cgroup, interval)
    except BrokenPipeError:  # the reader has seen enough
        return 0
    return 0


def _follow(container_id: str, cgroup: str, interval: float) -> None:
    watch = Watch(cgroup)
    due = monotonic() + interval
    while True:
        happened = watch.wait(max(0.0, due - monotonic()))
        for _ in range(happened.count("oom")):
            _tell("oom", container_id)
        if "empty" in happened:
            return
        if monotonic() >= due:
            _tell("stats", container_id, stats(cgroup))
            due = monotonic() + interval


def _tell(kind: str, container_id: str, data: object = None) -> None:
    event = {"type": kind, "id": container_id}
    write_out(dumps(event if data is None else {**event, "data": data}) + "\n")
