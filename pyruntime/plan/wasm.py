"""Where a plan loads a Wasm module, and where it enters it: imported for nothing but a module."""

from pyruntime.config.process import Process
from pyruntime.engine import base, engines
from pyruntime.engine.select import Selection
from pyruntime.steps import wasm
from pyruntime.steps.base import Step


def load(selection: Selection, process: Process) -> "list[Step]":
    """Before the fork: the engine's library must not be looked for inside the container."""
    limits = limits_of(process)
    size = len(selection.wasm)
    return [
        wasm.LoadModule(
            selection.because, selection.path, size, selection.engine, lambda: engines.load(selection, limits)
        )
    ]


def enter(selection: Selection, process: Process) -> Step:
    """The last step, in the place of execve."""
    guest = base.Guest(process.args, [], process.cwd, [("/", "/", False)], selection.function, limits_of(process))
    return wasm.EnterModule(selection.because, guest, base.guest_env, base.run)


def limits_of(process: Process) -> base.Limits:
    """What the configuration lets the guest use."""
    return base.Limits(address_space=next((r.soft for r in process.rlimits if r.type == "RLIMIT_AS"), None))
