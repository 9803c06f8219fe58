"""The same bundle under runc, crun and pyruntime: what a process sees of its confinement must be the same.

They run where /sys/fs/cgroup is a cgroup2 tree (scripts/lib/unified), each with a bundle of its own. What the probe
prints is compared line by line, section by section. Whatever differs must stand in DIFFERENCES, with its reason.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.system import harness
from tests.system.cases import CASES, PROBE, Case
from tests.system.differences import DIFFERENCES
from tests.system.harness import Bundle

UNIFIED = harness.ROOT / "scripts/lib/unified"
OTHERS = {
    "runc": ("runc",),
    # The crun of Debian 12 raises RLIMIT_MEMLOCK for a device program, which takes rights not every root has.
    "crun": ("crun", "--cgroup-manager=disabled"),
}
INSIDE = """
mount --make-rshared /
for name in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$name; done > "$WORK/host"
"""


class Seen(NamedTuple):
    """What one runtime showed: sections of lines, and what came of the rootfs."""

    status: int
    sections: "dict[str, list[str]]"
    err: str


@pytest.fixture
def arena(tmp_path: Path, busybox: Path, launcher: Path) -> "Callable[[Case], dict[str, Seen]]":
    """Runs a case under every runtime there is."""
    return lambda case: fight(case, tmp_path, busybox, launcher)


def fight(case: Case, folder: Path, busybox: Path, launcher: Path) -> "dict[str, Seen]":
    """One bundle and one command for each runtime, one private cgroup2 tree for all."""
    others = {name: words for name, words in OTHERS.items() if shutil.which(words[0]) and name not in case.skip}
    script = [INSIDE, case.before]
    for name, words in {"pyruntime": (str(launcher),), **others}.items():
        script.append(_command(case, name, words, folder, busybox))
    environment = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "WORK": str(folder), "LC_ALL": "C"}
    _unified("\n".join(script), environment)
    host = (folder / "host").read_text().split()
    return {name: _seen(folder / name, host) for name in ("pyruntime", *others)}


def _unified(script: str, environment: "dict[str, str]") -> None:
    """Run a shell script where there is a cgroup2 tree; it is ended, and cleaned up after, when it takes too long."""
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    started = subprocess.Popen(
        [UNIFIED, "bash", "-c", script], env=environment, stdin=nothing, stdout=nothing, stderr=pipe, text=True
    )
    try:
        _, err = started.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        started.terminate()
        started.communicate(timeout=10)
        raise
    assert started.returncode == 0, err


def _command(case: Case, name: str, words: "tuple[str, ...]", folder: Path, busybox: Path) -> str:
    bundle = Bundle(folder / name, busybox).sh(PROBE)
    case.change(bundle)
    for entry in bundle.linux["namespaces"]:
        if entry.get("path", "").startswith("@"):
            entry["path"] = str(folder / entry["path"][1:])
    bundle.write()
    base = str(bundle.path)
    # What the caller ignores, as with nohup or in the background of a shell, is not what is compared here.
    words = ("env", "--default-signal", *words)
    run = [*words, "--root", f"{base}/state", "run", "--bundle", base, *case.arguments, f"{harness.PREFIX}-{name}"]
    command = case.around.format(shlex.quote(shlex.join(run)) if "script" in case.around else shlex.join(run))
    reader = "" if "|" in case.around else "< /dev/null "
    # A mount of its own, as engines have it: runc from 1.2 on makes the mount private that holds the rootfs, and with
    # it all that is bound of the same.
    own = f"mount --bind {base}/rootfs {base}/rootfs; "
    return f"{own}{{ {command}; }} {reader}> {base}/out 2> {base}/err; echo $? > {base}/rc"


def _seen(folder: Path, host: "list[str]") -> Seen:
    sections: "dict[str, list[str]]" = {"before": []}
    name = "before"
    for line in (folder / "out").read_text(errors="replace").replace("\r", "").replace("^@", "").splitlines():
        if line.startswith("== "):
            name = line[3:]
            sections[name] = []
        else:
            sections[name].append(_normal(name, line, folder, host))
    sections["rootfs"] = sorted(_entries(folder / "rootfs"))
    return Seen(int((folder / "rc").read_text()), sections, (folder / "err").read_text())


def _entries(rootfs: Path) -> "list[str]":
    """What is in the rootfs afterwards, with mode and owner: mount points that were made stay."""
    found = []
    for base, folders, files in os.walk(rootfs):
        for each in (*folders, *files):
            path = Path(base) / each
            status = path.lstat()
            if "bin" not in path.relative_to(rootfs).parts:
                found.append(f"{path.relative_to(rootfs)} {status.st_mode:o} {status.st_uid}:{status.st_gid}")
    return found


def _normal(section: str, line: str, folder: Path, host: "list[str]") -> str:
    line = line.replace(str(folder), "BUNDLE").replace(f"{harness.PREFIX}-{folder.name}", "ID")
    if section == "mounts":
        return _mount(line.replace(_below_mount(folder), " BUNDLE"))
    if section == "ns":
        return f"{line.split(':')[0]} {'of the host' if line in host else 'new'}"
    if section == "fds":
        return re.sub(r":\[\d+\]", ":[]", line)
    return line


def _below_mount(folder: Path) -> str:
    """The folder as mountinfo's fourth field has it: from the root of the filesystem it lies on, a tmpfs say."""
    point = next(parent for parent in folder.parents if os.path.ismount(parent))
    return f" /{folder.relative_to(point)}"


def _mount(line: str) -> str:
    """A line of mountinfo without the numbers, and with the peer groups' kinds alone; proc(5).

    Whether the root's own mount is a slave is left out: runc 1.1.5 leaves it one, later ones and we do not.
    """
    fields = line.split()
    dash = fields.index("-")
    peers = sorted(field.partition(":")[0] for field in fields[6:dash])
    if fields[4] == "/":
        peers = [kind for kind in peers if kind != "master"]
    root = fields[3]
    if "BUNDLE" in root:
        root = root[root.index("BUNDLE") :]
    options = ",".join(sorted(fields[5].split(",")))
    superblock = ",".join(sorted(word for word in fields[-1].split(",") if word not in ("resv_strict",)))
    return f"{fields[4]} shows {root} of {fields[dash + 1]} {fields[-2]}: {options} {' '.join(peers)}; {superblock}"


def differences(case: str, other: str, ours: Seen, theirs: Seen) -> "list[str]":
    """What differs and is not explained."""
    found = []
    for section in sorted({*ours.sections, *theirs.sections}):
        mine, other_lines = Counter(ours.sections.get(section, [])), Counter(theirs.sections.get(section, []))
        for sign, lines in (("+", mine - other_lines), ("-", other_lines - mine)):
            for line in lines.elements():
                if not any(each.covers(case, other, section, line) for each in DIFFERENCES):
                    found.append(f"{sign} {section}: {line}")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_same_as_others(case: Case, arena: "Callable[[Case], dict[str, Seen]]") -> None:
    seen = arena(case)
    ours = seen.pop("pyruntime")
    assert ours.status == case.status, ours.err
    if not seen:
        pytest.skip("neither runc nor crun is installed")
    assert "end" in ours.sections or case.status, ours.err
    for name, theirs in seen.items():
        assert theirs.status == case.status, f"{name}: {theirs.err}"
        found = differences(case.name, name, ours, theirs)
        assert not found, f"pyruntime (+) differs from {name} (-) in ways that nobody explained:\n" + "\n".join(found)
