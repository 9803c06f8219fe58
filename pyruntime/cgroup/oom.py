"""Waiting for a cgroup to run out of memory, or of processes."""

from __future__ import annotations

import posix as os
import select
from time import monotonic

from pyruntime.cgroup.files import GONE, CgroupError, pairs, read_all

_FILES = {"memory.events": "oom_kill", "cgroup.events": "populated"}


class Watch:
    """Tells of out-of-memory kills in a cgroup and below, and of its last process leaving.

    kernfs reports a change of memory.events and cgroup.events by POLLPRI, relative to what was read last. Without the
    memory controller there are no kills to tell of.
    """

    def __init__(self, directory: str) -> None:
        """Raises CgroupError if the cgroup cannot be watched; one that is gone is `empty` at once."""
        self._poll = select.poll()
        self._files: dict[str, int] = {}
        for name in _FILES:
            self._open(directory, name)
        self._kills = self._read("memory.events", 0)

    def _open(self, directory: str, name: str) -> None:
        try:
            fd = os.open(f"{directory}/{name}", os.O_RDONLY)
        except OSError as error:
            if error.errno in GONE:
                return
            self.close()
            raise CgroupError.of(f"cannot watch {name} of the cgroup {directory}", error) from None
        self._files[name] = fd
        self._poll.register(fd, select.POLLPRI | select.POLLERR)

    def _read(self, name: str, missing: int) -> int:
        """The number in the file that we look at; `missing` if the file or its cgroup is gone."""
        if name not in self._files:
            return missing
        try:
            os.lseek(self._files[name], 0, 0)
            return pairs(read_all(self._files[name])).get(_FILES[name], missing)
        except OSError as error:
            if error.errno in GONE:
                return missing
            raise CgroupError.of(f"cannot read {name}", error) from None

    def wait(self, seconds: float) -> list[str]:
        """What has happened since the last call: `oom` for each kill, `empty` at the end; [] if time is up."""
        deadline = monotonic() + seconds
        while not (found := self._look()):
            left = deadline - monotonic()
            if left <= 0:
                break
            self._poll.poll(left * 1000)
        return found

    def _look(self) -> list[str]:
        kills = self._read("memory.events", self._kills)
        found = ["oom"] * (kills - self._kills)
        self._kills = max(kills, self._kills)
        return found if self._read("cgroup.events", 0) else [*found, "empty"]

    def close(self) -> None:
        """Closes the files."""
        while self._files:
            os.close(self._files.popitem()[1])
