"""What a configuration may ask for and pyruntime does not have yet: one table, refused before anything is made.

Ignoring any of these would leave a container less confined, or shown other files, than its author believes.
"""

from pyruntime.config.spec import Config
from pyruntime.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_IDMAP = "id-mapped mounts are not supported yet; remove it, or change the owner of the source"

# config path, whether it is asked for, what to say
CONFIG: "tuple[tuple[str, Callable[[Config], bool], str], ...]" = (
    (
        "linux.seccomp",
        lambda config: config.linux.seccomp is not None and not config.linux.seccomp.empty(),
        "system call filters are not supported yet; remove it, or ask the engine for seccomp=unconfined",
    ),
)


def refuse_unsupported(config: Config) -> None:
    """Raise Unsupported for the first thing a configuration asks for that pyruntime does not have."""
    for path, asked, problem in CONFIG:
        if asked(config):
            raise Unsupported(path, problem)
    for index, mount in enumerate(config.mounts):
        for name in ("uidMappings", "gidMappings"):
            if getattr(mount, name):
                raise Unsupported(f"mounts[{index}].{name}", _IDMAP)
        for number, option in enumerate(mount.options):
            if option.partition("=")[0] in ("idmap", "ridmap"):
                raise Unsupported(f"mounts[{index}].options[{number}]", _IDMAP)
