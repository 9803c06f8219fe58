"""Init by way of a stage process: whoever is killed on the way, nobody waits for the other without end."""

import os
import signal
import time

import pytest

from pyruntime.steps.stages import AdoptInit
from pyruntime.walk.channel import PeerGone
from pyruntime.walk.walker import Walker


def staged(told: bool) -> "tuple[Walker, int]":
    """The command's side of a walk whose stage process has forked an init, and has ended; `told`: not before its word.

    Returns the other end of a pipe that closes with init.
    """
    walker = Walker([])
    walker.open_channel()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        init = os.fork()
        if init == 0:
            time.sleep(60)
            os._exit(0)
        if told:
            walker.split(child=True)
            walker.values["init_pid"] = init
            walker.give("init_pid")
            walker.pass_baton(kind=b"N")
        os.write(writer, str(init).encode())
        os._exit(0)
    os.close(writer)
    walker.split(child=False)
    walker.values["stage_pid"] = pid
    return walker, reader


@pytest.mark.parametrize("told", [True, False], ids=["told", "killed before it told"])
def test_a_stage_process_that_is_killed_is_not_waited_for(told: bool) -> None:
    walker, reader = staged(told)
    init = int(os.read(reader, 20))
    signal.alarm(20)
    try:
        if told:
            AdoptInit("x").run(walker)
            assert walker.values == {"init_pid": init}
        else:
            with pytest.raises(PeerGone):
                AdoptInit("x").run(walker)
            assert walker.values == {}
    finally:
        signal.alarm(0)
        os.kill(init, signal.SIGKILL)
        os.close(reader)
        assert walker.channel is not None
        walker.channel.close()
