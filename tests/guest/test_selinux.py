"""SELinux labels with a policy behind them: selinux.conf, which lets containers touch files of their own label only.

Needs a kernel that was told `security=selinux` by PYRUNTIME_GUEST_KERNEL, for AppArmor and SELinux exclude each other.
The policy stays loaded afterwards, no longer enforced: the kernel has no way to unload one.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id

HERE = Path(__file__).parent
SELINUXFS = Path("/sys/fs/selinux")
LABEL = "system_u:system_r:container_t:s0:c1,c2"
FILES = "system_u:object_r:container_file_t:s0:c1,c2"
STRANGERS = "system_u:object_r:container_file_t:s0:c3"
HOSTS = "system_u:object_r:host_t:s0"
# Into a file of the container's: where the policy forbids the files behind 0, 1 and 2, execve(2) closes them.
READ = "exec > /tmp/out 2>&1; cat /proc/self/attr/current; for each in own strangers hosts; do cat /$each; done"


@pytest.fixture(scope="session")
def policy(ground: Path) -> "Iterator[None]":
    """The policy in force."""
    if "selinux" not in Path("/sys/kernel/security/lsm").read_text().split(","):
        pytest.skip("needs a boot of its own: PYRUNTIME_GUEST_KERNEL=security=selinux scripts/test --guest")
    compiler = shutil.which("checkpolicy")
    if compiler is None:
        pytest.skip("needs checkpolicy")
    if Path("/proc/self/attr/current").read_text().rstrip("\0\n") == "kernel":
        binary = ground / "policy"
        command = [compiler, "-M", "-U", "allow", "-c", "33", "-o", str(binary), str(HERE / "selinux.conf")]
        subprocess.run(command, check=True, capture_output=True)
        if not SELINUXFS.joinpath("load").exists():
            subprocess.run(["mount", "-t", "selinuxfs", "selinuxfs", SELINUXFS], check=True)
        SELINUXFS.joinpath("load").write_bytes(binary.read_bytes())
    SELINUXFS.joinpath("enforce").write_text("1")
    yield
    SELINUXFS.joinpath("enforce").write_text("0")


@pytest.fixture
def labelled(bundle: Bundle, policy: None) -> Bundle:
    """A bundle whose files carry the container's label; two more are somebody else's."""
    for name in ("own", "strangers", "hosts"):
        (bundle.rootfs / name).write_text(f"{name} was read\n")
    for path in bundle.rootfs.rglob("*"):
        os.setxattr(path, "security.selinux", FILES.encode(), follow_symlinks=False)
    os.setxattr(bundle.rootfs / "strangers", "security.selinux", STRANGERS.encode())
    os.setxattr(bundle.rootfs / "hosts", "security.selinux", HOSTS.encode())
    bundle.process["selinuxLabel"] = LABEL
    bundle.linux["mountLabel"] = FILES
    return bundle


@pytest.fixture
def running(rt: Runtime, labelled: Bundle) -> "Iterator[str]":
    """A labelled container that sleeps."""
    labelled.process["args"] = ["sleep", "1000"]
    id = new_id()
    assert rt.create(labelled, id=id).rc == 0
    assert rt("start", id).rc == 0
    yield id
    rt("delete", "--force", id)


def seen(bundle: Bundle) -> "tuple[str, list[str]]":
    """What READ found: the label it ran under, and the files that it could read."""
    label, _, rest = (bundle.rootfs / "tmp" / "out").read_text().partition("\0")
    assert rest.count("was read") + rest.lower().count("permission denied") == 3, rest
    return label, [line.split()[0] for line in rest.splitlines() if line.endswith("was read")]


@pytest.mark.parametrize("privileges", [True, False], ids=["no_new_privs", "new privileges"])
@pytest.mark.parametrize("kind", ["root", "user namespace"])
def test_a_label_is_in_force(rt: Runtime, labelled: Bundle, privileges: bool, kind: str) -> None:
    labelled.sh(READ).process["noNewPrivileges"] = privileges
    if kind == "user namespace":
        labelled.user_namespace()
    assert rt.run(labelled).rc == 1
    assert seen(labelled) == (LABEL, ["own"])


def test_without_one_everything_can_be_read(rt: Runtime, labelled: Bundle) -> None:
    """What the policy is held against: the same files, by the command's own label."""
    del labelled.process["selinuxLabel"]
    assert rt.run(labelled.sh(READ)).rc == 0
    label, files = seen(labelled)
    assert ":host_t:" in label
    assert files == ["own", "strangers", "hosts"]


def test_exec_is_under_the_containers_label(rt: Runtime, labelled: Bundle, running: str) -> None:
    assert rt("exec", running, "sh", "-c", READ).rc == 1
    assert seen(labelled) == (LABEL, ["own"])


def test_exec_under_a_label_of_its_own(rt: Runtime, labelled: Bundle, running: str) -> None:
    """Of other categories than the container's: the kernel lets it map no file of this container, not even sh."""
    label = "system_u:system_r:container_t:s0:c3"
    assert rt("exec", "--process-label", label, running, "sh", "-c", READ).rc not in (0, 1)
    assert not (labelled.rootfs / "tmp" / "out").exists()
    assert rt.status(running) == "running"


def test_mounts_carry_their_label(rt: Runtime, running: str) -> None:
    pid = rt.state(running)["pid"]
    for path in ("dev", "dev/shm", "dev/mqueue", "dev/pts", "dev/null"):
        found = os.getxattr(f"/proc/{pid}/root/{path}", "security.selinux").decode().rstrip("\0")
        assert found == FILES, path
    mounts = Path(f"/proc/{pid}/mountinfo").read_text()
    shm = next(line for line in mounts.splitlines() if " /dev/shm " in line)
    assert f'context="{FILES}"' in shm


def test_a_label_the_policy_does_not_know(rt: Runtime, labelled: Bundle) -> None:
    labelled.sh("echo RAN").process["selinuxLabel"] = "system_u:system_r:nobody_t:s0"
    result = rt.run(labelled)
    assert (result.rc, result.out) == (1, "")
    assert "process.selinuxLabel: " in result.err
    assert "the loaded policy knows no such label" in result.err


@pytest.mark.usefixtures("policy")
def test_labels_are_optional(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    assert rt.run(make("echo", "RAN")).out == "RAN\n"
