"""Where a plan prepares, loads and enters a Wasm module: imported for nothing but a module.

Prepared on the host's side: found in the cache or compiled, outside of the container's cgroup. Loaded by what becomes
the container as its first act, while the host's files are there and readable. Entered in the place of execve.
"""

from pyruntime.config.process import Process
from pyruntime.engine import annotations, base, cache, engines, permissions, preopens
from pyruntime.engine.select import Selection
from pyruntime.pack import bring
from pyruntime.steps import wasm
from pyruntime.steps.base import Step

_LOADED = "rule: the engine's code is read before the container's files are all there is"
_HIDDEN = "rule: what the caller's environment and command line hold is not the container's"
_CHECKED = "rule: what runs is what the container shows"


class Wasm:
    """The steps of one module, for a first process or for another one."""

    def __init__(
        self,
        selection: Selection,
        process: Process,
        asked: "dict[str, str]",
        memory: "int | None",
        in_user_namespace: bool,
        listen_fds: int = 0,
        joins: bool = False,
    ) -> None:
        """`asked` are the container's annotations, `memory` its limit in bytes, `listen_fds` the sockets it is passed.

        `joins`: the process joins a container that runs. Raises ConfigError.
        """
        space = next((entry.soft for entry in process.rlimits if entry.type == "RLIMIT_AS"), None)
        self.limits, self.demanded = annotations.limits(asked, memory, space)
        self.network = permissions.network(asked, selection, listen_fds, joins)
        if selection.kind == "wasm-component":
            bring("component")
        if self.network is not None and self.network.outgoing and selection.kind == "wasm-component":
            import pyruntime.engine.wasi.tls  # noqa: F401 - while there are files to import it from
        self.selection = selection
        self.process = process
        self.nested = in_user_namespace
        self.preopens = preopens.preopens(asked)

    def prepare(self) -> "list[Step]":
        """Host lane, before the fork."""
        selection, limits, demanded, nested = self.selection, self.limits, self.demanded, self.nested
        size = len(selection.wasm)

        def prepare() -> engines.Prepared:
            return engines.prepare(selection, limits, cache.place(nested), demanded)

        return [wasm.PrepareModule(selection.because, selection.path, size, selection.engine, prepare)]

    def load(self) -> "list[Step]":
        """Init lane, right after the fork."""
        return [wasm.LoadModule(_LOADED, self.selection.path)]

    def check(self) -> "list[Step]":
        """Init lane, in the container's root, as root."""
        return [
            wasm.CheckModule(_CHECKED, self.selection, cache.digest_of),
            wasm.HideCommand(_HIDDEN, self.process.args),
        ]

    def enter(self) -> Step:
        """The last step, in the place of execve."""
        process = self.process
        function = self.selection.function
        argv = self.selection.argv(process.args)
        guest = base.Guest(argv, [], process.cwd, self.preopens, function, self.limits, self.network)
        return wasm.EnterModule(self.selection.because, guest, base.guest_env, base.run)
