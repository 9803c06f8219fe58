"""What a configuration may ask for and pyruntime does not have yet: one table, refused before anything is made.

Ignoring any of these would leave a container less confined, or shown other files, than its author believes.
"""

from pyruntime.config.process import Process
from pyruntime.config.spec import Config
from pyruntime.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_APPARMOR = "apparmor: config provided but apparmor not supported by pyruntime yet; remove it"
_SELINUX = (
    "selinux label is specified in config, but selinux is disabled or not supported (by pyruntime, yet); remove it"
)

# config path, whether it is asked for, what to say
PROCESS: "tuple[tuple[str, Callable[[Process], bool], str], ...]" = (
    ("apparmorProfile", lambda process: process.apparmorProfile not in ("", "unconfined"), _APPARMOR),
    ("selinuxLabel", lambda process: bool(process.selinuxLabel), _SELINUX),
)
CONFIG: "tuple[tuple[str, Callable[[Config], bool], str], ...]" = (
    (
        "linux.intelRdt",
        lambda config: config.linux.intelRdt is not None,
        "resctrl groups are not supported yet; remove it",
    ),
    (
        "linux.netDevices",
        lambda config: bool(config.linux.netDevices),
        "moving network devices is not supported yet; remove it, and move them with a createRuntime hook",
    ),
    (
        "linux.memoryPolicy",
        lambda config: config.linux.memoryPolicy is not None,
        "memory policies are not supported yet; remove it, or use linux.resources.cpu.mems",
    ),
    ("linux.mountLabel", lambda config: bool(config.linux.mountLabel), _SELINUX),
)


def refuse_unsupported(config: Config) -> None:
    """Raise Unsupported for the first thing a configuration asks for that pyruntime does not have."""
    for path, asked, problem in CONFIG:
        if asked(config):
            raise Unsupported(path, problem)
    if config.process is not None:
        refuse_unsupported_process(config.process, "process")


def refuse_unsupported_process(process: Process, path: str) -> None:
    """The same for the process of `exec`; `path` begins the error's path."""
    for name, asked, problem in PROCESS:
        if asked(process):
            raise Unsupported(f"{path}.{name}", problem)
