"""Steps of the security modules: what AppArmor and SELinux are to make of the program, its keyring and its mounts."""

import posix as os

from pyruntime.errors import Error, explain_oserror, reason
from pyruntime.kernel import lsm, mounts
from pyruntime.kernel.procmount import read_in, write_in
from pyruntime.steps.base import Step
from pyruntime.steps.mounts import Attributes, MountFilesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_ENOENT, _EINVAL, _EACCES, _EPERM = 2, 22, 13, 1


class SetAppArmorProfile(Step):
    """Say under which AppArmor profile the program runs, from its execve on; or at once, where there will be none."""

    def __init__(self, because: str, profile: str, at_once: bool) -> None:
        super().__init__(because)
        self.profile = profile
        self.at_once = at_once

    def describe(self) -> str:
        return f"AppArmor profile {self.profile}, from {'now' if self.at_once else 'execve'} on"

    def run(self, walker: "Walker") -> None:
        name = "current" if self.at_once else "exec"
        path = lsm.attribute(walker.fds["proc"], (f"apparmor/{name}", name))
        try:
            write_in(walker.fds["proc"], path, f"{'changeprofile' if self.at_once else 'exec'} {self.profile}")
            found = lsm.plain(read_in(walker.fds["proc"], path))
        except OSError as error:
            hint = "; is the profile loaded? see aa-status(8)" if error.errno == _ENOENT else ""
            raise self._error(f"`/proc/{path}`: {reason(error)}{hint}") from None
        if not _is_profile(found, self.profile):
            raise self._error(f"`/proc/{path}` says {found or 'nothing'}")

    def _error(self, what: str) -> Error:
        return Error(f"{self.because}: apparmor failed to apply profile {self.profile}: {what}")


def _is_profile(found: str, asked: str) -> bool:
    """Whether the kernel's `NAME (MODE)` is the profile asked for; a stack or another policy namespace is not spelt
    by the kernel as it was asked for, so there any answer will do.
    """
    if asked.startswith((":", "&")) or "//&" in asked or "//&" in found:
        return bool(found)
    return found.partition(" (")[0] == asked


class SetSELinuxLabel(Step):
    """Say under which SELinux label the program runs, from its execve on; or at once, where there will be none."""

    def __init__(self, because: str, label: str, at_once: bool) -> None:
        super().__init__(because)
        self.label = label
        self.at_once = at_once

    def describe(self) -> str:
        return f"SELinux label {self.label}, from {'now' if self.at_once else 'execve'} on"

    def run(self, walker: "Walker") -> None:
        _set_label(walker, self.because, "current" if self.at_once else "exec", self.label)


class LabelKeyring(Step):
    """Say under which SELinux label the session keyring is made, so that the program may use its own keys."""

    def __init__(self, because: str, label: str) -> None:
        super().__init__(because)
        self.label = label

    def describe(self) -> str:
        return f"SELinux label {self.label} for the keyring to be made"

    def run(self, walker: "Walker") -> None:
        _set_label(walker, self.because, "keycreate", self.label)


def _set_label(walker: "Walker", because: str, name: str, label: str) -> None:
    path = f"thread-self/attr/{name}"
    try:
        write_in(walker.fds["proc"], path, label)
        found = lsm.plain(read_in(walker.fds["proc"], path))
    except OSError as error:
        raise Error(
            f"{because}: cannot set the SELinux label {label}: `/proc/{path}`: {reason(error)}{_hint(error)}"
        ) from None
    if found.split(":")[:3] != label.split(":")[:3]:  # the level comes back in the kernel's own spelling
        raise Error(f"{because}: cannot set the SELinux label {label}: `/proc/{path}` says {found or 'nothing'}")


def _hint(error: OSError) -> str:
    if error.errno == _EINVAL:
        return "; the loaded policy knows no such label"
    return "; the policy does not let this command set it" if error.errno in (_EACCES, _EPERM) else ""


class MountLabelledMqueue(MountFilesystem):
    """A message queue filesystem, which takes no label while mounted: its root gets one, before anybody sees it."""

    def __init__(
        self,
        because: str,
        fstype: str,
        source: str,
        destination: str,
        options: "list[tuple[str, str | None]]",
        attributes: Attributes,
        words: str,
        label: str,
    ) -> None:
        super().__init__(because, fstype, source, destination, options, attributes, words)
        self.label = label

    def describe(self) -> str:
        return f"{super().describe()}, with the label {self.label}"

    def run(self, walker: "Walker") -> None:
        target = self._target(walker.fds["root"])
        mount_fd = mounts.new_filesystem(self.fstype, self.source, self.options, self.attributes.set)
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount_fd)  # fsmount's is an O_PATH one
        try:
            os.setxattr(top, "security.selinux", self.label.encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise Error(f"linux.mountLabel {self.label}: {self.destination}: {explain_oserror(error)}") from None
        finally:
            os.close(top)
        self._attach(mount_fd, target)
        os.close(mount_fd)
