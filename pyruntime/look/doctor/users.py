"""What containers without root take: helpers, ranges of ids, a runtime directory."""

import os
import pwd
import shutil
from collections.abc import Iterator

from pyruntime.look.doctor.verdict import Verdict, fail, ok, warn

_SUID = 0o4000


def helpers() -> "Iterator[Verdict]":
    """newuidmap(1) and newgidmap(1), with the rights they need."""
    for name in ("newuidmap", "newgidmap"):
        path = shutil.which(name)
        if path is None:
            yield fail(
                f"{name} is missing: only one id can be mapped", "apt install uidmap, or dnf install shadow-utils"
            )
        elif not os.stat(path).st_mode & _SUID and not _has_capabilities(path):
            yield fail(f"{path} has neither its set-user-ID bit nor file capabilities", f"chmod u+s {path}")
        else:
            yield ok(f"{name}: {path}")


def _has_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def ranges() -> "Iterator[Verdict]":
    """Lines of /etc/subuid and /etc/subgid for this user."""
    uid = os.geteuid()
    if uid == 0:
        yield warn("you are root: ids, folders and limits are looked at for an ordinary user", "ask as that user")
        return
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    for file in ("/etc/subuid", "/etc/subgid"):
        size = _range(file, (name, str(uid)))
        if size >= 65536:
            yield ok(f"{file}: {size} ids for {name}")
        elif size:
            yield warn(f"{file}: {size} ids for {name}; images use up to 65536", _add(name))
        else:
            yield fail(f"{file}: no ids for {name}", _add(name))


def _add(name: str) -> str:
    return f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"


def _range(path: str, names: "tuple[str, str]") -> int:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            rows = [line.strip().split(":") for line in file]
    except OSError:
        return 0
    return sum(int(row[2]) for row in rows if len(row) == 3 and row[0] in names and row[2].isdecimal())


def directory() -> "Iterator[Verdict]":
    """XDG_RUNTIME_DIR, below which the state of a user's containers lies."""
    path = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0:
        return
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
    if os.geteuid() == 0 or not os.path.isdir("/run/systemd/system"):
        return
    name = pwd.getpwuid(os.geteuid()).pw_name
    if not os.path.exists(f"/var/lib/systemd/linger/{name}"):
        yield warn(f"systemd ends {name}'s processes at log-out", f"loginctl enable-linger {name}")
