"""Running hooks: config.md, "POSIX-platform Hooks"."""

import _signal
import posix as os

from pyruntime.errors import Error, explain_oserror, hushed, one_line
from pyruntime.kernel import spawn
from pyruntime.report.jsonout import dumps
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.hooks import Hook
    from pyruntime.walk.walker import Walker

_QUOTE_MAX = 2048


class RunHook(Step):
    """One hook with the container's state on its stdin."""

    def __init__(
        self,
        because: str,
        lane: str,
        hook: "Hook",
        state: "dict[str, object]",
        cwd: str = "",
        inherit_env: bool = False,
    ) -> None:
        super().__init__(because)
        self.lane = lane
        self.hook = hook
        self.state = state
        self.cwd = cwd
        self.inherit_env = inherit_env

    def describe(self) -> str:
        limit = f", at most {self.hook.timeout} s" if self.hook.timeout else ""
        return f"run {' '.join(self.hook.args or [self.hook.path])}{limit}"

    def run(self, walker: "Walker") -> None:
        env = walker.objects.get("env") if self.inherit_env and not self.hook.env else None
        pid = walker.values.get("init_pid") if self.lane == HOST else os.getpid()
        run_hook(self.because, self.hook, {**self.state, "pid": pid}, env, self.cwd)


def environment(entries: "list[str]") -> "dict[bytes, bytes]":
    """Entries NAME=VALUE as execve takes them."""
    env = {}
    for entry in entries:
        name, _, value = entry.encode("utf-8", "surrogateescape").partition(b"=")
        env[name] = value
    return env


def run_hook(because: str, hook: "Hook", state: "dict[str, object]", env: object = None, cwd: str = "") -> None:
    """Run one hook to its end. Raises Error that quotes the hook's exit status and output on one line."""
    kind, _, rest = because.partition("[")
    name = f"error running {kind.rpartition('.')[2]} hook #{rest.rstrip(']')}"
    shown = {key: value for key, value in state.items() if value not in (0, None, {})}
    environ = env if isinstance(env, dict) else environment(hook.env)
    try:
        result = spawn.run(
            hook.path,
            hook.args or [hook.path],
            environ,
            dumps(shown).encode("utf-8", "surrogateescape"),
            float(hook.timeout) if hook.timeout else None,
            before=(lambda: os.chdir(cwd)) if cwd else None,
        )
    except spawn.TimedOut:
        raise Error(f"{name}: hook ran past specified timeout of {float(hook.timeout or 0)}s ({hook.path})") from None
    except OSError as error:
        raise Error(f"{name}: {explain_oserror(error)}") from None
    if result.status:
        how = f"exit status {os.WEXITSTATUS(result.status)}"
        if os.WIFSIGNALED(result.status):
            number = os.WTERMSIG(result.status)
            how = f"signal {number} ({(_signal.strsignal(number) or 'unknown').lower()})"
        told = f"stdout: {_quote(result.stdout)}, stderr: {_quote(result.stderr)}"
        raise Error(f"{name}: {how}, {told} ({hook.path})")


def _quote(output: bytes) -> str:
    return hushed(one_line(output.decode("utf-8", "replace").strip())[:_QUOTE_MAX])
