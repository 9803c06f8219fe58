"""Init by way of a stage process: whoever is killed on the way, nobody waits for the other without end."""

import os
import signal
import time

import pytest

from pyruntime.kernel import process
from pyruntime.steps.namespaces import Clone
from pyruntime.steps.stages import AdoptInit
from pyruntime.walk.channel import PeerGone
from pyruntime.walk.walker import Walker


def staged(words: "list[int]") -> "tuple[Walker, int]":
    """The command's side of a walk whose stage process has forked an init, and has ended.

    `words` are the pids that were named as init before; 0 stands for the right one.
    Returns the other end of a pipe that closes with init.
    """
    walker = Walker([])
    walker.open_channel()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        init = process.clone3(0, sibling=True)
        if init == 0:
            time.sleep(60)
            os._exit(0)
        walker.split(child=True)
        for word in words:
            walker.values["init_pid"] = word or init
            walker.give("init_pid")
            walker.pass_baton(kind=b"N")
        os.write(writer, str(init).encode())
        os._exit(0)
    os.close(writer)
    walker.split(child=False)
    walker.values["stage_pid"] = pid
    return walker, reader


@pytest.mark.parametrize("words", [[0], [], [1], [1, -1, 1 << 40, 0]])
def test_a_stage_process_that_is_killed_is_not_waited_for(words: "list[int]") -> None:
    """Nor is anybody taken for init, whoever names them, but a child of the command's."""
    walker, reader = staged(words)
    init = int(os.read(reader, 20))
    signal.alarm(20)
    try:
        if 0 in words:
            AdoptInit("x").run(walker)
            assert walker.values == {"init_pid": init}
        else:
            with pytest.raises(PeerGone):
                AdoptInit("x").run(walker)
            assert walker.values == {}
    finally:
        signal.alarm(0)
        os.kill(init, signal.SIGKILL)
        os.waitpid(init, 0)
        os.close(reader)
        assert walker.channel is not None
        walker.channel.close()


def test_only_a_child_of_the_command_is_ended() -> None:
    """Whoever may trace init can speak in its place; what it says of a pid kills nobody."""
    walker, clone, adopt = Walker([]), Clone("x", [], False, False, stage=True), AdoptInit("x")
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    clone.made, adopt.made = child, 1
    walker.values = {"init_pid": os.getpid(), "stage_pid": os.getpid()}
    adopt.undo(walker)
    clone.undo(walker)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)
    clone.undo(walker)
