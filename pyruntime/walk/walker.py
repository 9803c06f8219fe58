"""Walking a plan: one loop for both lanes.

Before the fork only the host lane exists. A step that forks calls `walker.split()` in the child, and from there the
same loop runs in two processes. Where the lane changes in the list, the baton is passed; whose lane it is not, waits.
"""

import posix as os

from pyruntime.errors import Error, StepError, explain_oserror
from pyruntime.steps.base import HOST, INIT, Step
from pyruntime.walk.channel import FDS_MAX, Channel, Failed, PeerGone, pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.walk.recorder import Recorder

_SIGSYS = 31


class Walker:
    """The state of a walk: the list, our lane, and the slots for what is known late.

    `values` are numbers (a pid), `fds` descriptors we hold by name, `texts` strings a later step of our lane needs,
    `signals` those that came while nobody attended to the program yet; `recorder` times the steps if it is wanted;
    `undoing` tells that the walk has failed, `unfinished` that an undo has too.
    """

    def __init__(self, steps: "list[Step]", trace: "Callable[[int, Step], None] | None" = None) -> None:
        self.steps = steps
        self.lane = HOST
        self.index = 0
        self.values: "dict[str, int]" = {}
        self.fds: "dict[str, int]" = {}
        self.texts: "dict[str, str]" = {}
        self.objects: "dict[str, object]" = {}
        self.channel: "Channel | None" = None
        self.other: "Channel | None" = None
        self.trace = trace
        self.recorder: "Recorder | None" = None
        self.signals: "list[int]" = []
        self.undoing = False
        self.unfinished = False
        self._gift_values: "list[str]" = []
        self._gift_fds: "list[str]" = []
        self._parting: "list[str]" = []

    def open_channel(self) -> None:
        """Make the socketpair; before the fork."""
        self.channel, self.other = pair()

    def split(self, child: bool) -> None:
        """After the fork: keep our end, and in the child take the other lane."""
        if self.channel is None or self.other is None:
            raise SystemError("a plan forked without a channel")
        if child:
            self.channel, self.other = self.other, self.channel
            self.lane = INIT
        self.other.close()
        self.other = None

    def give(self, name: str) -> None:
        """Let the value or descriptor in this slot travel with the next baton."""
        (self._gift_values if name in self.values else self._gift_fds).append(name)

    def hand(self, name: str) -> None:
        """As `give`, for a descriptor that is ours no more then."""
        self.give(name)
        self._parting.append(name)

    def promised_fds(self) -> "list[int]":
        """The descriptors that are to travel with the next baton; they must stay open until then."""
        return [self.fds[name] for name in self._gift_fds]

    def pass_baton(self, kind: bytes = b"B") -> None:
        """It is the other lane's turn (or, as news, just let it know)."""
        if self.channel is None:
            return
        values = {name: self.values[name] for name in self._gift_values}
        while len(self._gift_fds) > FDS_MAX:  # as news, ahead of the baton
            self.channel.send(b"N", {}, {name: self.fds[name] for name in self._gift_fds[:FDS_MAX]})
            self._gift_fds = self._gift_fds[FDS_MAX:]
        self.channel.send(kind, values, {name: self.fds[name] for name in self._gift_fds})
        self._gift_values, self._gift_fds = [], []
        while self._parting:
            self.close_fd(self._parting.pop())

    def take(self, at_once: bool = False) -> bytes:
        """Wait for the other lane's next word and keep what it brings; returns its kind. Raises Failed, PeerGone.

        `at_once`: it must be there already.
        """
        if self.channel is None:
            return b"B"
        if at_once and not self.channel.pending():
            raise PeerGone("the other process has ended")
        kind, values, fds = self.channel.receive()
        if self.lane == HOST:  # who may trace init can speak in its place: no word of it changes what is known
            values = {name: value for name, value in values.items() if name not in self.values}
            for name in set(fds) & set(self.fds):
                os.close(fds.pop(name))
        self.values.update(values)
        self.fds.update(fds)
        return kind

    def take_baton(self) -> None:
        """Wait until it is our turn."""
        while self.take() != b"B":
            pass

    def _await_end(self) -> None:
        """Wait until the init lane has left by execve. Raises Failed when it reports a failure instead."""
        try:
            while True:
                self.take()
        except PeerGone:
            failure = self.channel.left() if self.channel is not None else None
            if failure is not None:
                raise failure from None

    def reached_program(self) -> bool:
        """Whether the walk is over, or nothing but init's execve was awaited and init has closed its channel."""
        if self.index >= len(self.steps):
            return True
        waiting = any(step.waits_for_end for step in self.steps[self.index :])
        return waiting and self.channel is not None and self.channel.ended()

    def close_fd(self, name: str) -> None:
        """Close the descriptor in a slot, if there is one."""
        fd = self.fds.pop(name, None)
        if fd is not None:
            os.close(fd)

    def walk(self) -> None:
        """Run the steps of our lane from here to the end. In the init lane this never returns."""
        done: "list[Step]" = []
        try:
            while self.index < len(self.steps):
                step = self.steps[self.index]
                if step.lane == self.lane:
                    if self._changes(self.index - 1):
                        self._await_end() if step.waits_for_end else self.take_baton()
                    if self.trace:
                        self.trace(self.index, step)
                    if self.recorder:
                        self.recorder.begin(self.index)
                    if self.lane == HOST:
                        done.append(step)
                    step.run(self)
                    if self.recorder and step.lane == self.lane:
                        self.recorder.end(self.index)
                    # The child of a fork comes out of a host step in the init lane: the baton is not its to pass.
                    if step.lane == self.lane and self._changes(self.index):
                        self.pass_baton()
                self.index += 1
            if self.lane == INIT:
                self.index -= 1
                raise SystemError("the init lane reached the end of its plan")
        except BaseException as error:
            self._fail(error, done)

    def _changes(self, index: int) -> bool:
        """Whether the lane changes between step `index` and the next."""
        return 0 <= index < len(self.steps) - 1 and self.steps[index].lane != self.steps[index + 1].lane

    def _fail(self, error: BaseException, done: "list[Step]") -> None:
        if self.lane == INIT:
            try:
                self._tell(error)
            finally:  # whatever else goes wrong: what lies above us on the stack is the command's, and runs there
                os._exit(1)
        if isinstance(error, PeerGone):
            error = self._why_gone(error)
        self._undo(done)
        if isinstance(error, Failed):
            index = min(error.index, len(self.steps) - 1)  # init may lie
            raise StepError(self._named(error.text, index), self.steps[index]) from None
        if isinstance(error, (Error, OSError)):
            code, step = error.code if isinstance(error, Error) else None, self.steps[self.index]
            raise StepError(self._named(_detail(error, step), self.index), step, code) from None
        raise error

    def _tell(self, error: BaseException) -> None:
        """The init lane's last word: to the command, or once that has gone to whoever reads stderr."""
        if isinstance(error, PeerGone):
            return
        if self.channel is not None:
            self.channel.fail(self.index, _detail(error, self.steps[self.index]))
        else:
            _say(_plain(error, self.steps[self.index]))

    def _undo(self, done: "list[Step]") -> None:
        """Take steps back, the last one first; no signal breaks it off any more."""
        self.undoing = True
        for step in reversed(done):
            try:
                step.undo(self)
            except (Error, OSError):  # the first error is the one to tell; `delete --force` can finish the rest
                self.unfinished = True

    def _why_gone(self, error: PeerGone) -> Error:
        """Init ended without a word: say how, from its wait status."""
        pid = self.values.get("init_pid")
        failure = self.channel.left() if self.channel is not None else None
        if failure is not None:
            return failure
        how = "ended unexpectedly"
        if self.channel is not None:  # it may be our word only that was lost, and init waits for it
            self.channel.close()
        if pid:
            try:
                _, status = os.waitpid(pid, 0)
                how = _ended(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else how
                self.values.pop("init_pid")
            except ChildProcessError:
                pass
        oom = self.objects.get("oom_check")
        told = oom() if callable(oom) else ""
        if told:
            return Error(f"container init was OOM-killed (memory limit too low?){told}")
        return Error(f"container init {how} during set-up{_remedy(how)}")

    def _named(self, text: str, index: int) -> str:
        step = self.steps[index]
        return f"{text} [step {index + 1} of {len(self.steps)}: {type(step).__name__}; {step.because}]"


def _ended(number: int) -> str:
    return f"was killed by signal {number}{' (SIGSYS)' if number == _SIGSYS else ''}"


def _remedy(how: str) -> str:
    if "SIGSYS" not in how:
        return ""
    return "; linux.seccomp forbids a call of ours: allow it, or set process.noNewPrivileges, to be filtered last"


def _say(text: bytes) -> None:
    """The last word of an init without a listener, where a filter lets it have one."""
    try:
        os.write(2, text)
    except OSError:
        return


def _detail(error: BaseException, step: Step) -> str:
    if isinstance(error, Error):
        return error.text
    if isinstance(error, OSError):
        return f"{step.describe()}: {explain_oserror(error)}"
    return f"{step.describe()}: internal error: {type(error).__name__}: {error}"


def _plain(error: BaseException, step: Step) -> bytes:
    """What a container's own stderr gets when no command listens any more: one line, nothing of ours but the reason."""
    text = error.text if isinstance(error, Error) else _detail(error, step)
    return f"{text}\n".encode("utf-8", "surrogateescape")
