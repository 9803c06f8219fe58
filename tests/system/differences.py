"""What pyruntime does otherwise than runc or crun, line by line of what the probe shows, and why."""

import re
from typing import NamedTuple


class Difference(NamedTuple):
    """Lines of one section that may be different: `other` names the runtime they are different from, "" for any."""

    section: str
    line: str
    reason: str
    other: str = ""
    case: str = ""

    def covers(self, case: str, other: str, section: str, line: str) -> bool:
        mine = (section, self.other or other, bool(re.fullmatch(self.case or ".*", case)))
        return mine == (self.section, other, True) and re.fullmatch(self.line, line) is not None


_STDIO = "(0|1|2) "
DIFFERENCES = [
    Difference("fds", _STDIO + r"pipe:\[\]", "runc puts pipes between the container and every caller", "runc"),
    Difference("fds", _STDIO + r"(/dev/null|BUNDLE/(out|err))", "what the caller gave is handed on", "runc"),
    Difference(
        "mounts",
        r"\S+ shows /null of .*",
        "masked files are covered by the host's /dev/null, read-only, which "
        "no rootfs can have forged; runc takes the container's own, crun the host's",
    ),
    Difference(
        "mounts",
        r"\S+ shows / of tmpfs tmpfs: relatime,ro (shared)?;.*ro.*",
        "one empty tmpfs of one page covers all masked folders, the others make one each",
    ),
    Difference(
        "mounts",
        r"\S+ shows / of tmpfs tmpfs: relatime,ro .*rw,size=0k.*",
        "crun makes only the mount over a masked folder read-only",
        "crun",
    ),
    Difference(
        "mounts",
        r"(\S+ shows BUNDLE/.*|/ shows .*)",
        "crun makes every mount private unless told otherwise, runc and we slave",
        "crun",
    ),
    Difference(
        "mounts",
        "/(mnt|tmp|etc) shows / of tmpfs .*",
        "we tell the tmpfs its mode, runc changes it afterwards",
        case="tmpfs over a folder|tmpcopyup|user namespace, mounts",
    ),
    Difference(
        "files",
        "/tmp drwxrwxrwt .*",
        "crun leaves a tmpfs without mode= at 1777",
        "crun",
        "tmpfs over a folder|user namespace, mounts",
    ),
    Difference(
        "mounts",
        r"/dev/\w+ shows /\w+ of devtmpfs .*",
        "crun binds devices with noexec and nosuid, runc and we as they are",
        "crun",
        "user namespace.*",
    ),
    Difference(
        "files",
        "/dev/mqueue drwxrwxrwt (0|65534):(0|65534) .*",
        "with a user namespace runc makes the IPC namespace while its group, or with 1.1 its user, has no map",
        case=".*user.* namespace.*",
    ),
    Difference(
        "mounts",
        r"\S+ shows BUNDLE/rootfs/.*",
        "runc from 1.2 on makes the mount private that holds the rootfs, and with it what is bound of the same",
        "runc",
        "masks of the rootfs",
    ),
    Difference(
        "status",
        "Cap(Prm|Eff|Bnd):.*",
        "runc from 1.3 on leaves what it has itself where no capabilities are named; none are here",
        "runc",
        "capabilities absent",
    ),
    Difference("mounts", ".*", "runc 1.1 leaves the root private when it is to be shared", "runc", "root r?shared"),
    Difference("files", "/dev/null crw-rw-rw- .* 1:3", "crun gives /dev/null to the user when it is stdin", "crun"),
    Difference(
        "env",
        "HOME=.*",
        "crun looks HOME up only where it is missing, and knows none for an unknown user",
        "crun",
        "unknown user|empty HOME",
    ),
    Difference(
        "mounts",
        "/dev/console shows /0 of devpts .*",
        "crun's bind of the console has none of devpts's flags",
        "crun",
        "terminal.*",
    ),
    Difference("stdin", "-?onlcr", "crun leaves ONLCR set", "crun", "terminal.*"),
    Difference(
        "stdin",
        "(rows|columns)=.*",
        "runc overwrites consoleSize by the caller's size even if that is unknown",
        "runc",
        "terminal with a size",
    ),
    Difference("cgroup", "0::/.*", "this crun runs without cgroups of its own", "crun"),
    Difference("files", "/dev/core .*", "crun links /proc/kcore though it is masked", "crun"),
    Difference(
        "mounts",
        "/sys shows / of sysfs .*",
        "crun makes only the mount read-only, runc and we the filesystem too",
        "crun",
    ),
    Difference("mounts", "/sys/fs/cgroup shows .*", "crun names the source cgroup2 whatever the config says", "crun"),
    Difference(
        "rootfs", r"\S+ 4[01]755 (0:0|100000:100000)", "crun makes folders for mounts with the sticky bit", "crun"
    ),
    Difference("files", r"\S+ drwxr-xr-[xt] 0:0 0:0", "crun makes folders for mounts with the sticky bit", "crun"),
    Difference(
        "rootfs", "mnt/file 100.* 0:0", "the empty file below a bind mount: we make it 0644, crun 0700, runc 0755"
    ),
]
