"""`--trace`: where the time of a command goes. Imported only when a trace is asked for.

    --trace FILE            this command; FILE.html becomes a page, any other name Chrome's trace format
    PYRUNTIME_TRACE_DIR     every command that makes, starts or deletes a container, under an engine as well
    /etc/pyruntime.conf     the same, by the line `trace-dir = DIR`

In a directory each container has the file ID.html. What create, start, exec and delete of one id do is appended.
"""

from time import CLOCK_PROCESS_CPUTIME_ID, clock_gettime_ns, monotonic_ns

from pyruntime.cli.context import complain
from pyruntime.cli.grammar import Invocation
from pyruntime.errors import Error, explain_oserror
from pyruntime.pathtext import absolute
from pyruntime.report import traces
from pyruntime.state.ids import check_id
from pyruntime.steps.base import HOST, Step
from pyruntime.walk.recorder import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.walk.walker import Walker

    Event = dict[str, object]

_RUNTIME, _INIT, _KERNEL, _WASM = 1, 2, 3, 4
_WASM_STEPS = "pyruntime.steps.wasm"
_LEAST = 1000  # nanoseconds; shorter calls are left out of the picture


class Tracing:
    """The trace of one command."""

    def __init__(self, asked: Invocation, file: str) -> None:
        self.verb = asked.verb or ""
        self.id = asked.arguments[0] if asked.arguments else ""
        self.file = absolute(file)  # a bundle becomes the working directory
        self.begin = monotonic_ns()
        self.before = clock_gettime_ns(CLOCK_PROCESS_CPUTIME_ID)
        self.walker: "Walker | None" = None

    def watch(self, walker: "Walker") -> None:
        """Time this walk too."""
        self.walker = walker
        walker.recorder = Recorder(len(walker.steps))

    def finish(self, outcome: str) -> None:
        """Append what happened to the file. Raises OSError."""
        end = monotonic_ns()
        events = [
            _event(
                f"start Python for {self.verb}", self.begin - self.before, self.begin, _RUNTIME, "CPU time until here"
            ),
            _event(f"{self.verb} {self.id}", self.begin, end, _RUNTIME, outcome),
        ]
        events[-1]["args"] = {"note": outcome, "verb": self.verb}
        if self.walker is not None and self.walker.recorder is not None:
            steps = _steps(self.walker, self.walker.recorder, end)
            first = self.walker.recorder.times(0)[0]
            if first:
                events.append(_event("read, check, look at the host, plan", self.begin, first, _RUNTIME, "no step"))
            events += steps
        traces.append(self.file, self.id, events, _page if self.file.endswith(".html") else None)


def _page(title: str, events: str) -> str:
    from pyruntime.look.trace import page

    return page(title, events)


def _steps(walker: "Walker", recorder: Recorder, now: int) -> "list[Event]":
    events = []
    for index, step in enumerate(walker.steps):
        begin, end = recorder.times(index)
        if begin:
            events.append(_step(index, step, begin, end, now))
    for lane in (0, 1):
        for name, begin, end in recorder.calls(lane):
            if end - begin >= _LEAST:
                events.append(_event(name, begin, end, _KERNEL, "asked by init" if lane else "asked by the runtime"))
    return events


def _step(index: int, step: Step, begin: int, end: int, now: int) -> "Event":
    """A step that has no end is the last one of init: the program, whose end only an attending command sees."""
    lane = _WASM if type(step).__module__ == _WASM_STEPS else _RUNTIME if step.lane == HOST else _INIT
    event = _event(step.describe(), begin, end or now, lane, step.because)
    event["args"] = {"step": index + 1, "kind": type(step).__name__, "because": step.because, "ended": bool(end)}
    return event


def _event(name: str, begin: int, end: int, lane: int, note: str) -> "Event":
    """One bar, in the format's terms: complete event, microseconds."""
    return {
        "name": name, "ph": "X", "ts": begin / 1000, "dur": (end - begin) / 1000, "pid": 1, "tid": lane,
        "args": {"note": note},
    }  # fmt: skip


def traced(
    asked: Invocation, folder: bytes, settings: bytes, attempt: "Callable[[Invocation, Tracing | None], int]"
) -> int:
    """Carry out a command line by `attempt`, and write its trace.

    `folder` is the environment's, `settings` the text of the configuration file. A trace that can't be written is told
    on stderr, and changes nothing else.
    """
    try:
        file = asked.globals.text("trace") or _in_folder(asked, folder, settings)
    except Error:
        file = ""  # the command itself will refuse the id
    if not file:
        return attempt(asked, None)
    tracing = Tracing(asked, file)
    status = attempt(asked, tracing)
    try:
        tracing.finish(f"exit status {status}")
    except OSError as error:
        complain(f"--trace {file}: {explain_oserror(error)}")
    return status


def _in_folder(asked: Invocation, folder: bytes, settings: bytes) -> str:
    """The file of a container below the folder that the environment or the configuration names; "" for none."""
    place = folder.decode("utf-8", "surrogateescape") or folder_of(settings.decode("utf-8", "surrogateescape"))
    if not place:
        return ""
    if not place.startswith("/"):  # who calls us has some working directory or other
        complain(f"no trace is written: the folder {place} is not absolute")
        return ""
    return f"{place}/{check_id(asked.arguments[0] if asked.arguments else '')}.html"


def folder_of(configuration: str) -> "str | None":
    """The value of `trace-dir` in the text of /etc/pyruntime.conf; `#` begins a comment."""
    for line in configuration.splitlines():
        name, equals, value = line.partition("#")[0].partition("=")
        if equals and name.strip() == "trace-dir" and value.strip():
            return value.strip()
    return None
