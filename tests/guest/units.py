"""The systemd cgroup driver's units, as systemd and the kernel show them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.engines import done
from tests.system.harness import PREFIX, Runtime, emptied

MIB = 1 << 20
TREE = Path("/sys/fs/cgroup")


@pytest.fixture
def rt(launcher: Path, tmp_path: Path) -> "Iterator[Runtime]":
    """pyruntime with --systemd-cgroup; nothing may be left, of state or of units."""
    yield from emptied(Runtime(launcher, tmp_path / "rt", "--systemd-cgroup"))
    assert PREFIX not in done("systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", "*.scope")


def unit_of(id: str) -> str:
    return f"pyruntime-{id}.scope"


def directory(id: str) -> Path:
    return TREE / "system.slice" / unit_of(id)


def shown(unit: str, *names: str, user: bool = False) -> "dict[str, str]":
    """Properties of a unit as systemd tells them."""
    who = ("--user", "--machine", "user@") if user else ()
    lines = done("systemctl", *who, "show", f"--property={','.join(names)}", unit).splitlines()
    return dict(line.split("=", 1) for line in lines)


def is_gone(unit: str, user: bool = False) -> bool:
    return shown(unit, "LoadState", "ActiveState", user=user) == {"LoadState": "not-found", "ActiveState": "inactive"}


def cgroup_of(pid: "int | str") -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")
