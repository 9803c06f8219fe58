"""pyruntime by an ordinary user, with one id and with a range of them."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system import harness
from tests.system.harness import new_id
from tests.system.rootless import Make, live, refused, status
from tests.system.rootless import accounts as accounts
from tests.system.rootless import delegated as delegated
from tests.system.rootless import helpers as helpers
from tests.system.rootless import owner as owner
from tests.system.rootless import user as user
from tests.system.users import COUNT, FIRST, STRANGER, UID, Delegated, User, own, ranged, without_tty_group

# Lives


def test_what_spec_writes_runs(user: User, make: Make) -> None:
    bundle = make()
    os.chown(bundle.path, UID, UID)
    assert user("spec", "--rootless", "--bundle", bundle.path).rc == 0
    config = json.loads((bundle.path / "config.json").read_text())
    for name in ("uidMappings", "gidMappings"):
        assert config["linux"][name] == [{"containerID": 0, "hostID": UID, "size": 1}]
    kinds = [entry["type"] for entry in config["linux"]["namespaces"]]
    assert "user" in kinds
    assert "network" not in kinds
    assert "resources" not in config["linux"]
    harness.chown_tree(bundle.rootfs, UID)
    config["process"].update(terminal=False, args=["sh", "-c", "id -u; cat /proc/self/uid_map /proc/self/setgroups"])
    bundle.config = config
    result = user.run(bundle)
    assert (result.rc, result.out.split()) == (0, ["0", "0", str(UID), "1", "deny"]), result


def test_life_without_a_cgroup(user: User, make: Make) -> None:
    live(user, own(make()), UID, cgroup=False)


def test_life_in_a_delegated_cgroup(owner: User, make: Make) -> None:
    live(owner, own(make()), UID, cgroup=True)


def test_life_with_a_range_of_ids(user: User, make: Make, helpers: None) -> None:
    live(user, ranged(make()), UID, cgroup=False)


def test_cgroups_may_be_declined(owner: User, make: Make) -> None:
    runtime = owner.variant("--cgroup-manager", "disabled")
    result = runtime.run(own(make("cat", "/proc/self/cgroup")))
    assert "0::/" in result.out, result


def test_a_killed_create_is_cleaned_up(owner: User, make: Make, delegated: Delegated) -> None:
    bundle, name = own(make("sleep", "60")), new_id()
    assert owner.create(bundle, id=name).rc == 0
    assert (delegated.directory / name).is_dir()
    (owner.root / name / "state.json").unlink()
    assert owner("delete", "--force", name).rc == 0
    assert not (delegated.directory / name).exists()


# Ids


def test_a_range_of_ids(user: User, make: Make, helpers: None) -> None:
    bundle = ranged(make("sh", "-c", "id -u; id -g; id -G; cat /proc/self/setgroups; touch /tmp/made"))
    bundle.process["user"] = {"uid": 5, "gid": 6, "additionalGids": [7]}
    (bundle.rootfs / "tmp").chmod(0o777)
    result = user.run(bundle)
    assert result.out.split() == ["5", "6", "6", "7", "allow"], result
    made = (bundle.rootfs / "tmp/made").stat()
    assert (made.st_uid, made.st_gid) == (FIRST + 4, FIRST + 5)


def test_one_id_that_is_not_ones_own(user: User, make: Make, helpers: None) -> None:
    bundle = without_tty_group(make("cat", "/proc/self/uid_map").user_namespace(FIRST + 9, 1))
    assert user.run(bundle).out.split() == ["0", str(FIRST + 9), "1"]


@pytest.mark.parametrize("groups", [(), (20801, 20802)], ids=str)
def test_groups_of_the_caller(user: User, make: Make, helpers: None, groups: "tuple[int, ...]") -> None:
    """Rule 42: dropped, always; but who maps only the own group may not (user_namespaces(7)), and they are shown."""
    caller = user.variant(groups=groups)
    found = status(caller.run(ranged(make("cat", "/proc/self/status"))))
    assert found["Groups"].split() == []
    found = status(caller.run(own(make("cat", "/proc/self/status"))))
    assert found["Groups"].split() == ["65534"] * len(groups)


@pytest.mark.parametrize(("score", "lowered"), [(321, False), (-5, True)])
def test_oom_score(user: User, make: Make, score: int, lowered: bool) -> None:
    """A user can make a process more likely to be killed, and never less."""
    bundle, name = own(make("sh", "-c", "cat /proc/self/oom_score_adj; exec sleep 60")), new_id()
    bundle.process["oomScoreAdj"] = score
    ours = Path("/proc/self/oom_score_adj").read_text().strip()
    result = user.run(bundle, "--detach", id=name)
    assert result.rc == 0, result
    wanted = ours if lowered else str(score)
    harness.wait_until(lambda: result.out == f"{wanted}\n", f"the score is {wanted}: {result}")
    assert user("exec", name, "cat", "/proc/self/oom_score_adj").out == f"{wanted}\n"
    assert user("delete", "--force", name).rc == 0


def maps(*lines: "tuple[int, int, int]") -> "list[dict[str, int]]":
    return [dict(zip(("containerID", "hostID", "size"), line, strict=True)) for line in lines]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uidMappings": []}, ["linux.uidMappings", "map at least one id"]),
        ({"gidMappings": []}, ["linux.gidMappings", "map at least one id"]),
        ({"uidMappings": maps((0, UID, 0))}, ["linux.uidMappings[0].size", "at least 1"]),
        ({"gidMappings": maps((0, UID, 1), (0, FIRST, 1))}, ["linux.gidMappings[1].containerID", "overlaps"]),
        ({"uidMappings": maps((0, UID, 1), (1, UID, 1))}, ["linux.uidMappings[1].hostID", "overlaps"]),
        ({"uidMappings": maps((5, UID, 1))}, ["linux.uidMappings", "uid 0 of the container is not mapped"]),
        (
            {"uidMappings": maps((0, UID, 1), (1, FIRST, COUNT + 1))},
            ["linux.uidMappings: newuidmap failed", f"/etc/subuid grants ranger {FIRST}:{COUNT}"],
        ),
        ({"gidMappings": maps((0, 0, 1))}, ["linux.gidMappings: newgidmap failed", "/etc/subgid grants ranger"]),
    ],
)
def test_maps_that_are_refused(
    user: User, make: Make, helpers: None, change: "dict[str, Any]", words: "list[str]"
) -> None:
    bundle = own(make())
    bundle.linux.update(change)
    refused(user, bundle, *words)


def test_a_user_without_a_range(readable: Path, tmp_path: Path, make: Make, helpers: None) -> None:
    stranger = User(readable, tmp_path / "stranger", uid=STRANGER)
    refused(stranger, ranged(make(), STRANGER), "/etc/subgid grants stranger no range", "USER:FIRST:COUNT")
    result = stranger.run(own(make("id", "-u"), STRANGER))
    assert result.out == "0\n", result


def test_a_host_without_the_helpers(user: User, make: Make, helpers: None) -> None:
    empty = user.folder / "empty"
    empty.touch(0o644)
    hide = f"mount --bind {empty} $(command -v newgidmap)"
    without = user.variant(between=(), before=hide)
    wrapped = without.command

    def command(verb: str, *arguments: object) -> "list[str]":
        return ["unshare", "--mount", *wrapped(verb, *arguments)]

    without.command = command  # type: ignore[method-assign]
    refused(without, ranged(make()), "newgidmap is needed", "install it")


def test_no_user_namespace(user: User, make: Make) -> None:
    refused(user, make(), "linux.namespaces: rootless container requires user namespaces", "spec --rootless")


def test_exec_waits_for_the_start(user: User, make: Make) -> None:
    """A created init is not dumpable: its files in /proc are root's until it is the program."""
    name = new_id()
    assert user.create(own(make("sleep", "60")), id=name).rc == 0
    result = user("exec", name, "true")
    assert (result.rc, "start" in result.err) == (255, True), result
    assert user("delete", "--force", name).rc == 0


def test_no_state_root_to_write_to(user: User, make: Make) -> None:
    runtime = user.variant(root=Path("/sys/pyruntime"))
    result = runtime.run(own(make()))
    assert (result.rc, "--root" in result.err) == (1, True), result


def test_step_with_a_shell_at_every_stop_of_init(user: User, make: Make, tmp_path: Path) -> None:
    bundle = own(make()).sh("id -u; sleep 3").write()
    count = user("step", "--auto", bundle.path, harness.new_id()).out.count("\nstep ") + 1
    script = tmp_path / "script"
    script.write_text("s\n\n" * count)
    result = user("step", "--script", script, bundle.path, harness.new_id(), timeout=60)
    assert (result.rc, "\n0\n" in result.out) == (0, True), result
    assert result.out.count("left the shell") > 30
    assert "can't be joined" not in result.out
    assert re.search(r"hostname \S+ → inside$", result.out, re.MULTILINE)


def test_inspect_of_a_process_of_root(user: User) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        found = json.loads(user("inspect", "--json", "--pid", child.pid).out)
        page = user("inspect", "--pid", child.pid).out
    finally:
        child.kill()
        child.wait()
    assert found["namespaces"]["mount"] == {"inode": None, "own": None}
    assert "not readable for you: mount" in page
