"""The step that gives a new user namespace its ids, and why it may be refused."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel.procfs import read, write
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.mounts import IDMapping
    from pyruntime.walk.walker import Walker

_EPERM = 1


class WriteIdMap(Step):
    """Map user or group ids of init's new user namespace; by newuidmap(1) where we may not write them ourselves."""

    lane = HOST

    def __init__(
        self, because: str, kind: str, mappings: "list[IDMapping]", helper: bool, deny_setgroups: bool
    ) -> None:
        super().__init__(because)
        self.kind = kind
        self.mappings = mappings
        self.helper = helper
        self.deny_setgroups = deny_setgroups

    def describe(self) -> str:
        maps = ", ".join(f"{m.containerID}-{m.containerID + m.size - 1} → host {m.hostID}" for m in self.mappings)
        by = f" by new{self.kind}map" if self.helper else ""
        deny = ", setgroups forbidden" if self.deny_setgroups else ""
        return f"write {self.kind}_map{by}: {maps}{deny}"

    def run(self, walker: "Walker") -> None:
        pid = walker.values["init_pid"]
        if self.helper:
            self._by_helper(pid)
        else:
            self._write(pid)
        if _lines(read(f"/proc/{pid}/{self.kind}_map")) != _lines(_text(self.mappings)):
            raise Error(f"{self.because}: the kernel has other ids in /proc/{pid}/{self.kind}_map than were written")

    def _write(self, pid: int) -> None:
        try:
            if self.deny_setgroups:
                write(f"/proc/{pid}/setgroups", "deny")
            write(f"/proc/{pid}/{self.kind}_map", _text(self.mappings))
        except OSError as error:
            raise Error(f"{self.because}: cannot write {error.filename}: {reason(error)}{_hint(error)}") from None

    def _by_helper(self, pid: int) -> None:
        from pyruntime.kernel.spawn import run_program

        name = f"new{self.kind}map"
        status, output = run_program(name, [name, str(pid), *_text(self.mappings).split()])
        if status == 127:
            raise Error(
                f"{self.because}: {name} is needed to map more than one's own {self.kind}, and this host has none; "
                f"install it (Debian: uidmap; elsewhere: shadow-utils), or map only {self.kind} {_own(self.kind)}"
            )
        if status:
            raise Error(
                f"{self.because}: {name} failed: {output or f'exit status {status}'}; {_granted(self.kind)}; "
                f"a line USER:FIRST:COUNT in /etc/sub{self.kind} grants a range, and {name} has to be setuid root"
            )


def _text(mappings: "list[IDMapping]") -> str:
    return "".join(f"{m.containerID} {m.hostID} {m.size}\n" for m in mappings)


def _lines(text: str) -> "list[list[str]]":
    """The lines of a map in an order of their own, as the kernel sorts longer maps."""
    return sorted(line.split() for line in text.splitlines())


def _own(kind: str) -> int:
    return os.getuid() if kind == "uid" else os.getgid()


def _hint(error: OSError) -> str:
    if error.errno != _EPERM:
        return ""
    return (
        "; a user namespace whose creator has no right to these ids, or a security module that restricts user "
        "namespaces (kernel.apparmor_restrict_unprivileged_userns), refuses so"
    )


def _granted(kind: str) -> str:
    """What /etc/subuid or subgid grants to the caller, who may stand there by name or by number (subuid(5))."""
    path = f"/etc/sub{kind}"
    names = {str(os.getuid()), _name(os.getuid())} - {""}
    try:
        lines = [line.split(":") for line in read(path).splitlines()]
    except OSError as error:
        return f"{path}: {reason(error)}"
    ranges = [f"{line[1]}:{line[2]}" for line in lines if len(line) == 3 and line[0] in names]
    who = _name(os.getuid()) or f"uid {os.getuid()}"
    return f"{path} grants {who} {', '.join(ranges) or 'no range'} (FIRST:COUNT), and one's own {kind} is allowed"


def _name(uid: int) -> str:
    """The user's name in /etc/passwd, "" if it is not there."""
    try:
        lines = [line.split(":") for line in read("/etc/passwd").splitlines()]
    except OSError:
        return ""
    return next((line[0] for line in lines if len(line) > 2 and line[2] == str(uid)), "")
