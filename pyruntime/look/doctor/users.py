"""What containers without root take: helpers, ranges of ids, a runtime directory."""

import os
import pwd
import shutil
from collections.abc import Iterator

from pyruntime.look.doctor import systemd
from pyruntime.look.doctor.verdict import Verdict, fail, ok, unknown, warn
from pyruntime.look.inspect import proc

_SUID = 0o4000
_RANGES = ("/etc/subuid", "/etc/subgid")
_LINGER = "/var/lib/systemd/linger"


def ordinary() -> "Iterator[Verdict]":
    """Root has no ranges, no runtime directory and no delegated cgroup to be looked at."""
    if os.geteuid() == 0:
        yield unknown("you are root: an ordinary user's ids, folders and limits were not looked at", "ask as that user")


def helpers() -> "Iterator[Verdict]":
    """newuidmap(1) and newgidmap(1), with the rights they need."""
    if proc.status("self").get("NoNewPrivs") == "1":
        yield fail("no_new_privs is set around us: newuidmap gains no rights", "a session without it")
    for name in ("newuidmap", "newgidmap"):
        path = shutil.which(name)
        if path is None:
            yield fail(
                f"{name} is missing: only one id can be mapped", "apt install uidmap, or dnf install shadow-utils"
            )
        elif not os.stat(path).st_mode & _SUID and not _has_capabilities(path):
            yield fail(f"{path} has neither its set-user-ID bit nor file capabilities", f"chmod u+s {path}")
        elif os.statvfs(path).f_flag & os.ST_NOSUID:
            yield fail(f"{path} is on a file system mounted nosuid: it gains no rights", "mount it without nosuid")
        else:
            yield ok(f"{name}: {path}")


def _has_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def _user() -> str:
    """This user's name, or number where nobody named it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def ranges() -> "Iterator[Verdict]":
    """Lines of /etc/subuid and /etc/subgid for this user."""
    if os.geteuid() == 0:
        return
    name = _user()
    for file in _RANGES:
        size = _range(file, (name, str(os.geteuid())))
        if size >= 65536:
            yield ok(f"{file}: {size} ids for {name}")
        elif size:
            yield warn(f"{file}: {size} ids for {name}; images use up to 65536", _add(name))
        else:
            yield fail(f"{file}: no ids for {name}", _add(name))


def _add(name: str) -> str:
    return f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"


def _range(path: str, names: "tuple[str, str]") -> int:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            rows = [line.strip().split(":") for line in file]
    except OSError:
        return 0
    return sum(int(row[2]) for row in rows if len(row) == 3 and row[0] in names and row[2].isdecimal())


def directory() -> "Iterator[Verdict]":
    """XDG_RUNTIME_DIR, below which the state of a user's containers lies."""
    if os.geteuid() == 0:
        return
    path = os.environ.get("XDG_RUNTIME_DIR", "")
    if not path:
        yield fail(
            "XDG_RUNTIME_DIR is not set", f"export XDG_RUNTIME_DIR=/run/user/{os.geteuid()} after a proper login"
        )
    elif not os.access(path, os.W_OK):
        yield fail(f"XDG_RUNTIME_DIR={path} is not writable for you", "log in as this user, not by su")
    else:
        yield ok(f"XDG_RUNTIME_DIR={path}")


def lingering() -> "Iterator[Verdict]":
    """Whether a user's containers outlive the last log-out."""
    if os.geteuid() == 0 or not systemd.booted():
        return
    name = _user()
    if os.path.exists(f"{_LINGER}/{name}"):
        yield ok(f"{name}'s processes outlive the last log-out (lingering)")
    else:
        yield warn(f"systemd ends {name}'s processes at log-out", f"loginctl enable-linger {name}")
