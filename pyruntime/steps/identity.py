"""Steps about who the process is: groups, user, capabilities, no_new_privs."""

import posix as os

from pyruntime.errors import Error, explain_oserror, reason
from pyruntime.kernel import caps, paths, process
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_EPERM, _EINVAL, _EACCES, _ENOTDIR = 1, 22, 13, 20
_PASSWD_MAX = 1 << 20


class MakeCwd(Step):
    """Make the working directory where it is missing, while the root can still be written."""

    def __init__(self, because: str, cwd: str) -> None:
        super().__init__(because)
        self.cwd = cwd

    def describe(self) -> str:
        return f"make the working directory {self.cwd}, if it is missing"

    def run(self, walker: "Walker") -> None:
        try:
            os.close(paths.make_directory(walker.fds["root"], self.cwd))
        except OSError as error:
            if error.errno in (_EACCES, _ENOTDIR):  # told by `EnterCwd`, which may ask as the user
                return
            why = f"{reason(error)}: it is not in the rootfs and can't be made there; make it, or name another"
            raise Error(f"{self.because} {self.cwd}: {why}") from None


class EnterCwd(Step):
    """chdir to the working directory; it must lie inside the root."""

    def __init__(self, because: str, cwd: str, late: bool = False) -> None:
        super().__init__(because)
        self.cwd = cwd
        self.late = late

    def describe(self) -> str:
        return f"chdir {self.cwd}" + (" as the process's user, if root was refused" if self.late else "")

    def run(self, walker: "Walker") -> None:
        if self.late and not walker.values.pop("cwd_refused", 0):
            return
        try:
            fd = paths.open_in_root(walker.fds["root"], self.cwd, paths.O_PATH | os.O_DIRECTORY)
            os.fchdir(fd)
            os.close(fd)
        except OSError as error:
            if error.errno == _EACCES and not self.late:
                walker.values["cwd_refused"] = 1  # NFS and FUSE may refuse root what they grant the user
                return
            raise Error(f"{self.because} {self.cwd}: {reason(error)}") from None
        if not os.getcwd().startswith("/"):
            raise Error(
                f"{self.because} {self.cwd}: current working directory is outside of container mount namespace root"
            )


class BuildEnvironment(Step):
    """The environment for execve: the last of duplicates wins, HOME is looked up where it is missing."""

    def __init__(self, because: str, env: "list[str]", uid: int, home: str = "/") -> None:
        """`home`: HOME of a user whom /etc/passwd does not know; "" for none."""
        super().__init__(because)
        self.env = env
        self.uid = uid
        self.home = home

    def describe(self) -> str:
        return f"environment of {len(self.env)} entries; HOME from the container's /etc/passwd if missing"

    def run(self, walker: "Walker") -> None:
        env: "dict[bytes, bytes]" = {}
        for entry in self.env:
            name, _, value = entry.encode("utf-8", "surrogateescape").partition(b"=")
            env[name] = value
        if not env.get(b"HOME") and (home := self._home(walker.fds["root"])):
            env[b"HOME"] = home
        walker.objects["env"] = env

    def _home(self, root: int) -> bytes:
        uid = str(self.uid).encode()
        for line in (paths.read_file(root, "/etc/passwd", _PASSWD_MAX) or b"").split(b"\n"):
            fields = line.split(b":")
            if len(fields) > 5 and fields[2] == uid and fields[5]:
                return fields[5]
        return self.home.encode()


class LeaveGroups(Step):
    """Lay the caller's supplementary groups down: a user namespace may forbid that, and they are rights outside."""

    def __init__(self, because: str, lenient: bool) -> None:
        """`lenient`: the user namespace around us may forbid it already."""
        super().__init__(because)
        self.lenient = lenient

    def describe(self) -> str:
        return "no supplementary groups" + (" (if the user namespace around us lets us)" if self.lenient else "")

    def run(self, walker: "Walker") -> None:
        try:
            os.setgroups([])
        except PermissionError as error:
            if not self.lenient:
                raise Error(f"{self.because}: cannot leave the caller's groups: {explain_oserror(error)}") from None


class DropBounding(Step):
    """Drop from the bounding set what the config does not name: no execve can bring it back."""

    def __init__(self, because: str, names: "list[str]") -> None:
        super().__init__(because)
        self.names = names

    def describe(self) -> str:
        return f"bounding set: keep {shown(self.names)}"

    def run(self, walker: "Walker") -> None:
        caps.drop_bounding(caps.mask(self.names))
        extra = caps.bounding() & ~caps.mask(self.names)
        if extra:
            raise Error(f"{self.because}: capabilities {extra:#x} are still in the bounding set")


def shown(names: "list[str]") -> str:
    """Capabilities in few words."""
    return " ".join(name[4:].lower() for name in names) or "none"


class SetUser(Step):
    """Supplementary groups, group and user, in this order; the permitted capabilities survive for the next step."""

    def __init__(self, because: str, uid: int, gid: int, groups: "list[int]", lenient: bool) -> None:
        super().__init__(because)
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.lenient = lenient

    def describe(self) -> str:
        groups = " ".join(map(str, self.groups)) or "none"
        leave = " (as they are, where the user namespace forbids setgroups)" if self.lenient else ""
        return f"uid {self.uid}, gid {self.gid}, supplementary groups {groups}{leave}"

    def run(self, walker: "Walker") -> None:
        process.set_keep_caps(True)
        self._set_groups()
        self._set("gid", self.gid, os.setresgid)
        self._set("uid", self.uid, os.setresuid)
        process.set_keep_caps(False)
        process.set_dumpable(False)

    def _set_groups(self) -> None:
        """A user namespace made without privilege forbids setgroups. What it says about itself in /proc is not asked:
        that file may be the container's own by now, and groups kept by mistake are host rights.
        """
        try:
            os.setgroups(self.groups)
        except OSError as error:
            if error.errno != _EPERM or not self.lenient or self.groups:
                raise Error(f"{self.because}.additionalGids: setgroups: {explain_oserror(error)}") from None

    def _set(self, kind: str, number: int, call: "object") -> None:
        try:
            call(number, number, number)  # type: ignore[operator]
        except OSError as error:
            if error.errno == _EINVAL:
                raise Error(
                    f"{self.because}.{kind}: cannot set{kind} to unmapped {kind} {number} in user namespace; "
                    f"add it to linux.{kind}Mappings"
                ) from None
            raise


class SetCapabilities(Step):
    """The permitted, effective and inheritable sets, then the ambient one; read back afterwards."""

    def __init__(
        self,
        because: str,
        effective: "list[str]",
        permitted: "list[str]",
        inheritable: "list[str]",
        ambient: "list[str]",
    ) -> None:
        super().__init__(because)
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
        self.ambient = ambient

    def describe(self) -> str:
        sets = (("effective", self.effective), ("permitted", self.permitted), ("inheritable", self.inheritable))
        return "capabilities: " + ", ".join(
            f"{kind} {shown(names)}" for kind, names in (*sets, ("ambient", self.ambient))
        )

    def run(self, walker: "Walker") -> None:
        asked = caps.mask(self.effective), caps.mask(self.permitted), caps.mask(self.inheritable)
        try:
            caps.capset(*asked)
            found = caps.capget()
        except OSError as error:
            raise Error(
                f"{self.because}: {explain_oserror(error)}: the runtime itself lacks one of {shown(self.permitted)}"
            ) from None
        if found != asked:
            raise Error(f"{self.because}: expected the sets {asked}, the kernel has {found}")
        try:
            caps.set_ambient(caps.mask(self.ambient))
        except OSError as error:
            raise Error(f"{self.because}.ambient: can't raise ambient capability {explain_oserror(error)}") from None


class SetNoNewPrivs(Step):
    """no_new_privs: no setuid program or file capability raises rights from here on."""

    def describe(self) -> str:
        return "prctl(PR_SET_NO_NEW_PRIVS)"

    def run(self, walker: "Walker") -> None:
        process.set_no_new_privs()
