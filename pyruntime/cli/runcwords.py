"""What runc says and scripts look for, said where the like happens here. Imported only when there is something to say.

The debug log has these words whatever we are called. Errors are wrapped in runc's only for who calls us `runc`, as
`--version` names itself so then: they make a line longer, and the config path no longer begins it.
"""

from pyruntime.steps.base import INIT
from pyruntime.steps.mounts import MountStep
from pyruntime.steps.namespaces import Clone
from pyruntime.steps.program import AwaitExec
from pyruntime.steps.record import Save

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.steps.base import Step

_BEGIN = {"create": "runc create failed: ", "run": "runc run failed: ", "exec": "exec failed: "}


def marks(step: "Step", verb: str) -> "list[str]":
    """runc's debug lines for the moment before this step of the command's own; most have none."""
    if type(step).__name__ == "SetAffinity":  # whose module few commands load
        return [f"nsexec: affinity: {sum(1 << cpu for cpu in vars(step)['cpus']):#x}"]
    if isinstance(step, Clone):
        return ["nsexec container setup"]
    if isinstance(step, Save) and verb != "exec":
        return ["child process in init()", "init: closing the pipe to signal completion"]
    if isinstance(step, AwaitExec) and verb == "exec":
        return ["child process in init()", "setns_init: about to exec"]
    return []


def seccomp_flags(flags: int) -> str:
    """runc's debug line about a filter's flags."""
    return f"seccomp filter flags: {flags}"


def wrapped(verb: "str | None", text: str, step: "Step | None") -> str:
    """The text of an error as runc would begin it, ours in whole behind that. `step`: the one that failed, if any."""
    begin = _BEGIN.get(verb or "")
    if begin is None:
        return text
    text = text.removeprefix(begin)
    return begin + (_of_start(step, text) if step is not None else "") + text


def _of_start(step: "Step", text: str) -> str:
    where = "error during container init: " if step.lane == INIT else ""
    return f"unable to start container process: {where}{_what(step, text)}"


def _what(step: "Step", text: str) -> str:
    if isinstance(step, MountStep):
        source = getattr(step, "source", "cgroup")
        return f'error mounting "{source}" to rootfs at "{step.destination}": '
    if isinstance(step, Clone) and step.in_cgroup and "resource busy" in text:
        return "error adding pid of the new process to cgroups: "
    return ""
