"""`linux.memoryPolicy`. Loaded only when a configuration has one."""

from pyruntime.config.linux import MemoryPolicy
from pyruntime.config.rules.confine import memory_nodes
from pyruntime.steps import mempolicy as steps
from pyruntime.steps.base import Step


def policy(wanted: MemoryPolicy) -> Step:
    """The step that sets it, for the first process and for those of `exec` alike."""
    return steps.SetMemoryPolicy("linux.memoryPolicy", wanted.mode, wanted.flags, memory_nodes(wanted))
