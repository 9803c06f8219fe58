"""The hooks that run when `create` is long over: poststart and poststop, as the state file remembers them.

config.md, "POSIX-platform Hooks": a poststart hook that fails ends the container, a failing poststop hook is logged.
"""

import _signal

from pyruntime.cgroup import kill
from pyruntime.cli.context import Context
from pyruntime.config.hooks import Hook
from pyruntime.errors import Error
from pyruntime.state import life
from pyruntime.state.store import Container
from pyruntime.steps.hooks import run_hook


def poststart(container: Container) -> None:
    """Run them in order, told `running` and the pid. Raises Error of the first that fails, once init is killed."""
    try:
        for because, hook in _hooks(container, "poststart"):
            run_hook(because, hook, _state(container, "running", container.pid))
    except BaseException:
        _kill(container)
        raise


def poststop(context: Context, container: Container) -> None:
    """Run them in order, told `stopped` and no pid. A failure is a warning, and the others run all the same."""
    try:
        hooks = _hooks(container, "poststop")
    except Error as error:
        context.log.warning(error.text)
        return
    for because, hook in hooks:
        try:
            run_hook(because, hook, _state(container, "stopped", 0))
        except Error as error:
            context.log.warning(error.text)


def _hooks(container: Container, kind: str) -> "list[tuple[str, Hook]]":
    found = container.own.get(kind) or []
    return [(f"hooks.{kind}[{index}]", Hook.read(each, f"hooks.{kind}[{index}]")) for index, each in enumerate(found)]


def _state(container: Container, status: str, pid: int) -> "dict[str, object]":
    return {
        "ociVersion": container.data["ociVersion"],
        "id": container.id,
        "status": status,
        "pid": pid,
        "bundle": container.own.get("bundle", ""),
        "annotations": container.own.get("annotations", {}),
    }


def _kill(container: Container) -> None:
    pidfd = life.open_init(container)
    if pidfd is not None:
        life.signal(pidfd, _signal.SIGKILL)
    if container.cgroup and not container.own.get("privatePid"):
        kill.kill(container.cgroup)
