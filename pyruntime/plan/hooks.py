"""Hooks: which run in which lane, and what state they are told (config.md, "POSIX-platform Hooks")."""

from pyruntime.config.spec import Config
from pyruntime.plan.request import Request
from pyruntime.steps.base import HOST, INIT, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.hooks import Hook


def state(config: Config, request: Request, status: str) -> "dict[str, object]":
    """The state document without the pid, which is known late."""
    return {
        "ociVersion": config.ociVersion,
        "id": request.container_id,
        "status": status,
        "pid": 0,
        "bundle": request.bundle,
        "annotations": config.annotations,
    }


def runtime(config: Config, request: Request) -> "list[Step]":
    """prestart and createRuntime, in the command's namespaces with init's pid as the host sees it."""
    found: "list[Step]" = []
    for kind, hooks in (("prestart", config.hooks.prestart), ("createRuntime", config.hooks.createRuntime)):
        for index, hook in enumerate(hooks):
            found.append(_step(kind, index, HOST, hook, state(config, request, "creating")))
    return found


def container(config: Config, request: Request, rootfs: str) -> "list[Step]":
    """createContainer: in the container's namespaces while the host's paths are still there."""
    return [
        _step("createContainer", index, INIT, hook, state(config, request, "creating"), cwd=rootfs)
        for index, hook in enumerate(config.hooks.createContainer)
    ]


def start(config: Config, request: Request) -> "list[Step]":
    """startContainer: inside, right before execve."""
    return [
        _step("startContainer", index, INIT, hook, state(config, request, "created"), inherit_env=True)
        for index, hook in enumerate(config.hooks.startContainer)
    ]


def poststart(config: Config, request: Request) -> "list[Step]":
    """poststart: in the command's namespaces, once the program was released."""
    return [
        _step("poststart", index, HOST, hook, state(config, request, "running"))
        for index, hook in enumerate(config.hooks.poststart)
    ]


def _step(
    kind: str,
    index: int,
    lane: str,
    hook: "Hook",
    state: "dict[str, object]",
    cwd: str = "",
    inherit_env: bool = False,
) -> Step:
    from pyruntime.steps.hooks import RunHook  # while planning, and only for who has hooks: it brings kernel.spawn

    return RunHook(f"hooks.{kind}[{index}]", lane, hook, state, cwd, inherit_env)
