"""One runtime under measurement and the lives its containers lead."""

import itertools
import os

from bundle import Bundles
from measure import Cost, Failed, await_end, memory, run

OPERATIONS = (
    "version",
    "run",
    "run filtered",
    "create",
    "state",
    "start",
    "kill",
    "delete",
    "create+start+delete",
    "exec",
)


class Candidate:
    """A runtime by name and path, with a state directory of its own."""

    def __init__(self, name: str, path: str, root: str) -> None:
        self.name = name
        self.path = path
        self._root = os.path.join(root, name)
        self._pid_file = os.path.join(root, f"{name}.pid")
        self._ids = (f"bench-{name}-{number}" for number in itertools.count(os.getpid() * 1000))

    def probe(self, bundles: Bundles) -> "str | None":
        """Why this runtime cannot run the brief bundle here; None when it can."""
        try:
            self._call("run", "-b", bundles.brief, next(self._ids))
        except (Failed, OSError) as error:
            return str(error)
        return None

    def round(self, bundles: Bundles) -> "tuple[dict[str, Cost], dict[str, int]]":
        """Every operation once; its costs, and the memory of an init that waits for `start`. Raises Failed."""
        costs = {"version": run(self.path, "--version"), "run": self._run(bundles.brief)}
        costs["run filtered"] = self._run(bundles.filtered)
        costs["create+start+delete"] = self._brief_life(bundles)
        lasting, waiting = self._lasting_life(bundles)
        return {**costs, **lasting}, waiting

    def _call(self, *words: str) -> Cost:
        return run(self.path, "--root", self._root, *words)

    def _create(self, bundle: str, name: str) -> "tuple[Cost, int]":
        cost = self._call("create", "-b", bundle, "--pid-file", self._pid_file, name)
        with open(self._pid_file) as file:
            return cost, int(file.read())

    def _run(self, bundle: str) -> Cost:
        return self._call("run", "-b", bundle, next(self._ids))

    def _brief_life(self, bundles: Bundles) -> Cost:
        """Create, start, delete; the wait for the program's end lies between the commands and is not counted."""
        name = next(self._ids)
        created, pid = self._create(bundles.brief, name)
        started = self._call("start", name)
        await_end(pid)
        return created + started + self._call("delete", name)

    def _lasting_life(self, bundles: Bundles) -> "tuple[dict[str, Cost], dict[str, int]]":
        name, costs = next(self._ids), {}
        costs["create"], pid = self._create(bundles.lasting, name)
        try:
            waiting = memory(pid)
            costs["state"] = self._call("state", name)
            costs["start"] = self._call("start", name)
            costs["exec"] = self._call("exec", name, "/bin/true")
        finally:
            costs["kill"] = self._call("kill", name, "KILL")
            await_end(pid)
            costs["delete"] = self._call("delete", name)
        return costs, waiting
