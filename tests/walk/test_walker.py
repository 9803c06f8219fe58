"""Two lanes, one list: order, batons, gifts, failures and their undoing, through a real fork."""

import os
import select
import signal
from collections.abc import Callable, Iterator

import pytest

from pyruntime.errors import Error, StepError
from pyruntime.steps.base import HOST, INIT, Step
from pyruntime.walk.walker import Walker
from tests.walk.toys import Await, Fork, Leave, Note

Act = Callable[[Walker], None]


class Paper:
    """A pipe that notes are written to by both lanes."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()

    def host(self, word: str, act: "Act | None" = None) -> Note:
        return Note(HOST, word, self.sink, act)

    def init(self, word: str, act: "Act | None" = None) -> Note:
        return Note(INIT, word, self.sink, act)

    def read(self) -> "list[str]":
        """What was written, once every writer is gone: the end of init is proven by it."""
        os.close(self.sink)
        self.sink = -1
        text = b""
        while select.select([self.source], [], [], 10)[0]:
            part = os.read(self.source, 65536)
            if not part:
                return text.decode().split()
            text += part
        raise AssertionError("somebody still holds the pipe after 10 seconds")


@pytest.fixture
def paper() -> "Iterator[Paper]":
    notes = Paper()
    yield notes
    for fd in (notes.source, notes.sink):
        if fd >= 0:
            os.close(fd)


WALKERS: "list[Walker]" = []


@pytest.fixture(autouse=True)
def _close() -> "Iterator[None]":
    """A command ends after its walk; here the channel is to be closed by hand."""
    yield
    while WALKERS:
        walker = WALKERS.pop()
        for end in (walker.channel, walker.other):
            if end is not None:
                end.close()


def made(*steps: Step) -> Walker:
    WALKERS.append(Walker(list(steps)))
    return WALKERS[-1]


def walk(*steps: Step) -> Walker:
    walker = made(*steps)
    walker.walk()
    return walker


def fail(*_: object) -> None:
    raise Error("it broke")


def reap(walker: Walker) -> int:
    return os.waitpid(walker.values["init_pid"], 0)[1]


def test_each_step_runs_once_in_its_lane_and_in_order(paper: Paper) -> None:
    walker = walk(
        paper.host("a"), Fork("t"), paper.init("b"), paper.init("c"), paper.host("d"), paper.host("e"), paper.init("f"),
        paper.host("g"), paper.init("h"), Leave("t"), Await("t"), paper.host("i"),
    )  # fmt: skip
    assert reap(walker) == 0
    assert paper.read() == [f"{'init' if word in 'bcfh' else 'host'}:{word}" for word in "abcdefghi"]


def test_a_plan_without_a_fork_is_just_a_list(paper: Paper) -> None:
    walk(paper.host("a"), paper.host("b"))
    assert paper.read() == ["host:a", "host:b"]


def test_gifts_travel_with_the_baton(paper: Paper) -> None:
    def pack(walker: Walker) -> None:
        walker.values["number"] = 2**40
        walker.fds["pipe"] = os.dup(paper.sink)
        walker.give("number")
        walker.give("pipe")

    def unpack(walker: Walker) -> None:
        os.write(walker.fds["pipe"], b"%d " % walker.values["number"])
        walker.close_fd("pipe")

    walker = walk(Fork("t"), paper.init("a", pack), paper.host("b", unpack), Leave("t"))
    assert reap(walker) == 0
    assert paper.read() == ["init:a", "host:b", str(2**40)]


def test_no_word_of_init_changes_what_the_host_knows(paper: Paper) -> None:
    """Who may trace init can speak in its place, and the host acts on pids and descriptors as root."""

    def lie(walker: Walker) -> None:
        walker.values["init_pid"] = 1
        walker.fds["known"] = paper.sink
        walker.give("init_pid")
        walker.give("known")

    walker = made(Fork("t"), paper.init("a", lie), paper.host("b"), Leave("t"))
    walker.fds["known"] = os.dup(0)
    before, held = walker.fds["known"], len(os.listdir("/proc/self/fd"))
    walker.walk()
    assert (walker.values["init_pid"] > 1, walker.fds["known"]) == (True, before)
    assert len(os.listdir("/proc/self/fd")) == held + 1  # the channel's end
    os.close(before)
    assert reap(walker) == 0


def test_news_do_not_pass_the_turn(paper: Paper) -> None:
    def tell(walker: Walker) -> None:
        walker.values["early"] = 7
        walker.give("early")
        walker.pass_baton(kind=b"N")
        os.write(paper.sink, b"told ")

    walker = walk(Fork("t"), paper.init("a", tell), paper.init("b"), paper.host("c"), Leave("t"))
    assert walker.values["early"] == 7
    assert reap(walker) == 0
    assert paper.read() == ["init:a", "told", "init:b", "host:c"]


def test_the_host_fails_and_undoes_in_reverse(paper: Paper) -> None:
    with pytest.raises(StepError) as raised:
        walk(
            paper.host("a"),
            Fork("t"),
            paper.init("b"),
            paper.host("c"),
            paper.host("d", fail),
            paper.init("e"),
            Leave("t"),
        )
    assert str(raised.value) == "it broke [step 5 of 7: Note; test.d]"
    assert paper.read() == ["host:a", "init:b", "host:c", "host:d", "undo:d", "undo:c", "undo:a"]


def test_init_fails_and_the_host_tells_it_and_undoes(paper: Paper) -> None:
    with pytest.raises(StepError) as raised:
        walk(paper.host("a"), Fork("t"), paper.init("b"), paper.init("c", fail), paper.host("d"), Leave("t"))
    assert str(raised.value) == "it broke [step 4 of 6: Note; test.c]"
    assert paper.read() == ["host:a", "init:b", "init:c", "undo:a"]


def test_init_fails_after_the_hosts_last_step_but_one(paper: Paper) -> None:
    with pytest.raises(StepError, match=r"it broke \[step 3 of 5"):
        walk(paper.host("a"), Fork("t"), paper.init("b", fail), Leave("t"), Await("t"))
    assert paper.read() == ["host:a", "init:b", "undo:a"]


@pytest.mark.parametrize("lane", [HOST, INIT])
def test_an_oserror_is_told_with_what_was_done(paper: Paper, lane: str) -> None:
    def missing(_: Walker) -> None:
        os.open("/nonexistent/file", os.O_RDONLY)

    with pytest.raises(StepError) as raised:
        walk(Fork("t"), Note(lane, "x", paper.sink, missing), *([paper.host("y")] if lane == INIT else []), Leave("t"))
    assert str(raised.value).startswith("note x: /nonexistent/file: no such file or directory [step 2 of ")


def test_a_bug_in_init_is_told_as_one(paper: Paper) -> None:
    def bug(_: Walker) -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(StepError, match="note x: internal error: ZeroDivisionError: oops"):
        walk(Fork("t"), paper.init("x", bug), paper.host("y"), Leave("t"))


def test_an_init_that_cannot_tell_its_failure_ends_all_the_same(paper: Paper) -> None:
    """It must not come out of the walk: what is above it on the stack is the command's."""

    def unspeakable(_: Walker) -> None:
        raise Error("\ud800")  # which no encoding takes

    def walk_inside() -> None:
        ours = os.getpid()
        try:
            walk(paper.host("a"), Fork("t"), paper.init("x", unspeakable), paper.host("y"), Leave("t"))
        finally:
            if os.getpid() != ours:
                os.write(paper.sink, b"out ")
                os._exit(0)

    with pytest.raises(StepError, match="ended unexpectedly"):
        walk_inside()
    assert paper.read() == ["host:a", "init:x", "undo:a"]


def test_a_bug_in_the_host_is_raised_as_it_is_after_undoing(paper: Paper) -> None:
    def bug(_: Walker) -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(ZeroDivisionError):
        walk(paper.host("a"), paper.host("x", bug))
    assert paper.read() == ["host:a", "host:x", "undo:x", "undo:a"]


def test_an_undo_that_fails_hides_nothing(paper: Paper) -> None:
    class Stubborn(Note):
        def undo(self, walker: Walker) -> None:
            raise Error("can't be undone")

    with pytest.raises(StepError, match="it broke"):
        walk(paper.host("a"), Stubborn(HOST, "b", paper.sink), paper.host("c", fail))
    assert paper.read() == ["host:a", "host:b", "host:c", "undo:c", "undo:a"]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda _: os._exit(3), "container init ended unexpectedly during set-up"),
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "container init was killed by signal 9 during set-up"),
    ],
)
def test_init_ends_without_a_word(paper: Paper, end: Act, told: str) -> None:
    with pytest.raises(StepError, match=told):
        walk(paper.host("a"), Fork("t"), paper.init("b", end), paper.host("c"), Leave("t"))
    assert paper.read() == ["host:a", "init:b", "undo:a"]


def test_memory_that_ran_out_is_named(paper: Paper) -> None:
    def suspect(walker: Walker) -> None:
        walker.objects["oom_check"] = lambda: ": 1 MiB"

    with pytest.raises(StepError, match=r"OOM-killed \(memory limit too low\?\): 1 MiB \[step"):
        walk(paper.host("a", suspect), Fork("t"), paper.init("b", lambda _: os._exit(1)), paper.host("c"), Leave("t"))


def test_init_ends_when_the_host_does(paper: Paper) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            walk(Fork("t"), paper.init("a"), paper.host("b", lambda _: os._exit(5)), paper.init("c"), Leave("t"))
        finally:
            os._exit(6)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert paper.read() == ["init:a", "host:b"]


def test_an_init_that_runs_out_of_steps_is_a_bug_and_no_container(paper: Paper) -> None:
    with pytest.raises(StepError):
        walk(Fork("t"), paper.init("a"), paper.host("b"), paper.init("c"), Await("t"))


def test_the_trace_sees_every_step_of_its_lane(paper: Paper) -> None:
    walker = made(paper.host("a"), Fork("t"), paper.init("b"), paper.host("c"), Leave("t"))
    walker.trace = lambda index, step: void(os.write(paper.sink, f"{walker.lane}{index} ".encode()))
    walker.walk()
    assert reap(walker) == 0
    traced = [word for word in paper.read() if ":" not in word]
    assert traced == ["host0", "host1", "init2", "host3", "init4"]


def void(_: object) -> None:
    return


def test_a_fork_without_a_channel_is_a_bug() -> None:
    with pytest.raises(SystemError):
        Walker([]).split(child=False)


def test_a_failure_beyond_the_plan_is_told_for_its_last_step(paper: Paper) -> None:
    def lie(walker: Walker) -> None:
        assert walker.channel is not None
        walker.channel.fail(4000, "it broke")
        os._exit(1)

    walker = made(Fork("t"), paper.init("a", lie), paper.host("b"), Leave("t"))
    with pytest.raises(StepError, match=r"it broke \[step 4 of 4") as raised:
        walker.walk()
    assert raised.value.step is walker.steps[-1]
