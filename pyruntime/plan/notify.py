"""A container of a service that tells its manager when it is ready: sd_notify(3), through a proxy of ours.

The manager's socket is not handed in: its address would mean nothing inside, and a message from inside could say more
than READY. The container gets a folder with a socket of ours, mounted where no image has anything.
"""

from pyruntime.config.mounts import Mount
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.plan.request import Request
from pyruntime.steps.base import Step
from pyruntime.steps.notify import FOLDER, NAME, MakeNotify

INSIDE = "/run/notify"
_OPTIONS = ["bind", "nosuid", "noexec", "nodev", "ro", "private"]


def proxied(config: Config, request: Request) -> Config:
    """The configuration with one more mount and one more variable. Raises ConfigError without a mount namespace."""
    if config.linux.namespace("mount") is None:
        raise ConfigError(
            "linux.namespaces", f'NOTIFY_SOCKET is set, and its proxy at {INSIDE} needs a "mount" namespace; unset it'
        )
    source = f"{request.root}/{request.container_id}/{FOLDER}"
    mount = Mount.read({"destination": INSIDE, "type": "bind", "source": source, "options": _OPTIONS}, "NOTIFY_SOCKET")
    changed = config.replace(mounts=[*config.mounts, mount])
    if config.process is None:
        return changed
    env = [*config.process.env, f"NOTIFY_SOCKET={INSIDE}/{NAME}"]
    return changed.replace(process=config.process.replace(env=env))


def make(request: Request) -> "list[Step]":
    """The folder, right after the state directory; `start` binds the socket where the program waits for it."""
    return [MakeNotify("NOTIFY_SOCKET", listen=not request.barrier)]
