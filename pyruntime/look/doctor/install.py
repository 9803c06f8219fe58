"""Our own files: what runs us, and whether daemons can see and trust it."""

import os
import sys
from collections.abc import Iterator

from pyruntime import pack
from pyruntime.look.doctor.verdict import Verdict, fail, ok, warn
from pyruntime.version import VERSION

_LOOSE = 0o022


def interpreter() -> "Iterator[Verdict]":
    """The Python that runs this command."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield ok(f"pyruntime {VERSION} by Python {version}, {os.path.realpath(sys.executable)}")


def launcher() -> "Iterator[Verdict]":
    """The command, as those who run as root will look at it."""
    path = os.path.realpath(sys.argv[0])
    home = next((entry for entry in ("/home/", "/root/") if path.startswith(entry)), "")
    if home:
        yield warn(
            f"{path} is below {home}: daemons that protect home directories can't see it, nor does sudo find it",
            "install it below /opt or /usr/local: pipx install --global pyruntime",
        )
    loose = [place for place in _upwards(path) if _others_may_write(place)]
    if loose:
        yield fail(
            f"{loose[0]} can be changed by others than root, and root's daemons run it",
            f"chown root:root {loose[0]} && chmod go-w {loose[0]}",
        )
    elif not home:
        yield ok(f"{path}, changed by root alone")


def _upwards(path: str) -> "Iterator[str]":
    while True:
        yield path
        if path == "/":
            return
        path = os.path.dirname(path)


def _others_may_write(path: str) -> bool:
    info = os.stat(path)
    sticky = info.st_mode & 0o1000
    return info.st_uid != 0 or bool(info.st_mode & _LOOSE and not sticky)


def packs() -> "Iterator[Verdict]":
    """The compiled code that makes frequent commands quick."""
    stale = [name for name in pack.VERBS if not pack.fresh(name)]
    fix = f"{os.path.realpath(sys.executable)} -ISX no_debug_ranges {pack.__file__}"
    if stale:
        yield warn(f"no fresh pack of compiled code for {' '.join(stale)}: all works, slower", fix)
    else:
        yield ok("compiled code: packs are fresh")
