"""AppArmor and SELinux on a real kernel: refused where they are off, in force where they are on.

The tests that need AppArmor load a profile of their own (apparmor_parser) and take it away again.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyruntime.engine.find import find_package
from pyruntime.errors import Error
from pyruntime.kernel import lsm
from tests.system.harness import Bundle, Runtime, mount, new_id, wait_until

PROFILE = "pyruntime-test-box"
RULES = f"""
profile {PROFILE} flags=(attach_disconnected,mediate_deleted) {{
  file,
  capability,
  signal,
  ptrace,
  network,
  unix,
  deny /etc/group r,
  deny /tmp/** w,
}}
"""
SHOW = "cat /proc/self/attr/current; cat /etc/group; echo > /tmp/x; echo DONE"
INJECTOR = (sys.executable, "-IS", str(Path(__file__).with_name("injector.py")))
LABEL = "system_u:system_r:container_t:s0:c1,c2"

without_apparmor = pytest.mark.skipif(lsm.apparmor_on(), reason="needs a host without AppArmor")
without_selinux = pytest.mark.skipif(lsm.selinux_on(), reason="needs a host without SELinux")


@pytest.fixture
def profile() -> "Iterator[str]":
    """A loaded profile that forbids two things."""
    parser = shutil.which("apparmor_parser")
    if not lsm.apparmor_on() or parser is None:
        pytest.skip("needs AppArmor, and apparmor_parser")
    subprocess.run([parser, "--replace", "--skip-cache"], input=RULES, text=True, check=True)
    yield PROFILE
    subprocess.run([parser, "--remove"], input=RULES, text=True, check=True)


@pytest.fixture
def running(rt: Runtime, make: "Callable[..., Bundle]", profile: str) -> "Iterator[str]":
    """A container under the profile."""
    id, bundle = new_id(), make("sleep", "100")
    bundle.process["apparmorProfile"] = profile
    assert rt.create(bundle, id=id).rc == 0
    assert rt("start", id).rc == 0
    yield id
    rt("delete", "--force", id)


def confined(out: str) -> bool:
    """Whether SHOW ran under the profile, and saw nothing of what that forbids."""
    assert out.endswith("DONE\n")
    return out.startswith(f"{PROFILE} (enforce)\n") and "root:" not in out


@without_apparmor
def test_a_profile_is_refused_where_apparmor_is_off(rt: Runtime, bundle: Bundle) -> None:
    bundle.sh("echo RAN").process["apparmorProfile"] = "box"
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert "process.apparmorProfile: apparmor: config provided but apparmor not supported" in result.err
    assert "[step" not in result.err
    bundle.process["apparmorProfile"] = "unconfined"
    assert rt.run(bundle).out == "RAN\n"


@without_selinux
@pytest.mark.parametrize("where", ["process", "linux"])
def test_a_label_is_refused_where_selinux_is_off(rt: Runtime, bundle: Bundle, where: str) -> None:
    key = "selinuxLabel" if where == "process" else "mountLabel"
    bundle.sh("echo RAN").config[where][key] = LABEL
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    words = f"{where}.{key}: selinux label is specified in config, but selinux is disabled or not supported"
    assert words in result.err
    assert "[step" not in result.err


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        pytest.param(("--apparmor", "box"), "apparmor: config provided but apparmor not", marks=without_apparmor),
        pytest.param(("--process-label", LABEL), "selinux label is specified in config", marks=without_selinux),
    ],
)
def test_exec_refuses_too(rt: Runtime, make: "Callable[..., Bundle]", flag: "tuple[str, str]", words: str) -> None:
    id = new_id()
    assert rt.create(make("sleep", "100"), id=id).rc == 0
    try:
        assert rt("start", id).rc == 0
        result = rt("exec", *flag, id, "echo", "RAN")
        assert (result.rc, result.out) == (255, "")
        assert words in result.err
        assert rt.status(id) == "running"
    finally:
        rt("delete", "--force", id)


@pytest.mark.parametrize("privileges", [True, False], ids=["no_new_privs", "new privileges"])
@pytest.mark.parametrize("kind", ["root", "user", "user namespace"])
def test_a_profile_is_in_force(rt: Runtime, bundle: Bundle, profile: str, privileges: bool, kind: str) -> None:
    bundle.sh(SHOW).process.update(apparmorProfile=profile, noNewPrivileges=privileges)
    (bundle.rootfs / "tmp").chmod(0o1777)
    if kind == "user":
        bundle.process["user"] = {"uid": 1000, "gid": 1000}
    elif kind == "user namespace":
        bundle.user_namespace()
    result = rt.run(bundle)
    assert result.rc == 0
    assert confined(result.out)
    assert not (bundle.rootfs / "tmp" / "x").exists()


def test_a_profile_is_in_force_where_the_caller_has_no_securityfs(rt: Runtime, bundle: Bundle, profile: str) -> None:
    """Podman takes it away for containers with a user namespace; nothing is said of AppArmor there, and it is on."""
    bundle.sh(SHOW).process["apparmorProfile"] = profile
    base = rt.command

    def command(verb: str, *arguments: object) -> "list[str]":
        hide = 'umount --recursive /sys/kernel/security && test ! -e /sys/kernel/security/apparmor && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", hide, "sh", *base(verb, *arguments)]

    rt.command = command  # type: ignore[method-assign]
    result = rt.run(bundle)
    assert result.rc == 0, result
    assert confined(result.out)


def test_without_one_the_same_is_allowed(rt: Runtime, bundle: Bundle, profile: str) -> None:
    result = rt.run(bundle.sh(SHOW))
    assert not confined(result.out)
    assert "root:" in result.out
    assert (bundle.rootfs / "tmp" / "x").exists()


def test_a_profile_that_is_not_loaded_stops_the_start(rt: Runtime, bundle: Bundle, profile: str) -> None:
    bundle.sh("echo RAN").process["apparmorProfile"] = f"{profile}-of-nobody"
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert (
        f"process.apparmorProfile: apparmor failed to apply profile {profile}-of-nobody: "
        "`/proc/thread-self/attr/apparmor/exec`: no such file or directory; is the profile loaded?" in result.err
    )


def test_a_cover_over_proc_changes_nothing(rt: Runtime, bundle: Bundle, profile: str) -> None:
    """The container's own /proc is a folder full of files; the label goes to the kernel all the same."""
    forged = bundle.path / "forged"
    (forged / "self" / "attr" / "apparmor").mkdir(parents=True)
    (forged / "thread-self").symlink_to("self")
    canary = forged / "self" / "attr" / "apparmor" / "exec"
    canary.write_text("untouched")
    bundle.config["mounts"] = [entry for entry in bundle.config["mounts"] if entry["destination"] != "/proc"]
    bundle.config["mounts"].append(mount("/proc", "bind", ["rbind"], str(forged)))
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    bundle.sh("cat /etc/group; echo DONE").process["apparmorProfile"] = profile
    result = rt.run(bundle)
    assert result.out == "DONE\n"
    assert canary.read_text() == "untouched"


def test_exec_is_under_the_containers_profile(rt: Runtime, running: str) -> None:
    assert confined(rt("exec", running, "sh", "-c", SHOW).out)


def test_exec_by_a_file_that_names_none_is_under_it_too(rt: Runtime, running: str) -> None:
    import json

    file = rt.folder / "process.json"
    file.write_text(json.dumps({"cwd": "/", "args": ["sh", "-c", SHOW], "env": ["PATH=/bin"], "apparmorProfile": ""}))
    assert confined(rt("exec", "--process", file, running).out)


def test_exec_by_the_flag(rt: Runtime, make: "Callable[..., Bundle]", profile: str) -> None:
    id = new_id()
    assert rt.create(make("sleep", "100"), id=id).rc == 0
    try:
        assert rt("start", id).rc == 0
        assert confined(rt("exec", "--apparmor", profile, id, "sh", "-c", SHOW).out)
        result = rt("exec", "--apparmor", "nobody", id, "echo", "RAN")
        assert (result.rc, result.out) == (255, "")
        assert "apparmor failed to apply profile nobody" in result.err
    finally:
        rt("delete", "--force", id)


@pytest.mark.slow
def test_a_write_that_fails_leaves_nothing_to_run(rt: Runtime, running: str) -> None:
    """The one write(2) of `exec` that names the profile, found by the file that it is to."""
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64, for the injector")
    report = rt.folder / "calls"

    def once(fail: str) -> "subprocess.CompletedProcess[str]":
        command = [*INJECTOR, str(report), fail, "--", *rt.command("exec", running, "echo", "RAN")]
        environment = {"PATH": os.environ["PATH"], "BEGIN": "/state.json"}
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)

    undisturbed = once("")
    assert (undisturbed.returncode, undisturbed.stdout) == (0, "RAN\n"), undisturbed
    calls = [line.split(" ", 3) for line in report.read_text().splitlines()]
    found = [call for call in calls if call[1] == "write" and "attr/apparmor/exec" in call[3]]
    assert len(found) == 1, calls
    process, _, count, _ = found[0]
    failed = once(f"{process}:write:{count}:EACCES")
    assert (failed.returncode, failed.stdout) == (255, ""), failed
    assert f"apparmor failed to apply profile {PROFILE}" in failed.stderr


LOOP = '(module (memory (export "memory") 1) (func (export "_start") (loop br 0)))'


def test_a_module_is_under_the_profile_though_nothing_is_executed(rt: Runtime, bundle: Bundle, profile: str) -> None:
    try:
        find_package("wasmtime")
    except Error as error:
        pytest.skip(f"needs wasmtime: {error.text}")
    (bundle.rootfs / "loop.wat").write_text(LOOP)
    bundle.process.update(args=["/loop.wat"], apparmorProfile=profile)
    id = new_id()
    assert rt.create(bundle, id=id).rc == 0
    try:
        attribute = Path(f"/proc/{rt.state(id)['pid']}/attr/current")
        assert attribute.read_text() == "unconfined\n"
        assert rt("start", id).rc == 0
        wait_until(lambda: attribute.read_text() == f"{profile} (enforce)\n", "the module is under the profile")
        assert rt.status(id) == "running"
    finally:
        rt("delete", "--force", id)
