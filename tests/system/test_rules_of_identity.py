"""Rules 41, 42 and 45: capability sets and ids are what was asked for, a joined namespace is what it is said to be."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import PATIENCE, Bundle, Result, Runtime, new_id

Make = Callable[..., Bundle]
KINDS = ("bounding", "permitted", "effective", "inheritable", "ambient")
FIELDS = dict(zip(KINDS, ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"), strict=True))
BITS = {"CAP_CHOWN": 1, "CAP_KILL": 1 << 5, "CAP_NET_RAW": 1 << 13}
A, B, C = BITS
MATRIX: "dict[str, dict[str, list[str]] | None]" = {
    "absent": None,
    "empty": {},
    "all five": {kind: [A, B] for kind in KINDS},
    "bounding alone": {"bounding": [A, B, C]},
    "permitted, not effective": {"bounding": [A, B], "permitted": [A, B], "effective": [A]},
    "inheritable, not ambient": {"bounding": [A], "permitted": [A], "effective": [A], "inheritable": [A]},
    "ambient": {"bounding": [A, B], "permitted": [A, B], "inheritable": [A, B], "ambient": [B]},
}


def fields(result: Result) -> "dict[str, str]":
    assert result.rc == 0, result
    return {name: value.strip() for name, _, value in (line.partition(":") for line in result.out.splitlines())}


def expected(asked: "dict[str, list[str]] | None", uid: int) -> "dict[str, int]":
    """The five sets after execve of a program without file capabilities (capabilities(7)).

    For the namespace's root the file counts as having all: permitted and effective become inheritable | bounding.
    """
    sets = {kind: sum(BITS[name] for name in set((asked or {}).get(kind, []))) for kind in KINDS}
    if uid == 0:
        full = sets["inheritable"] | sets["bounding"]
        return {**sets, "permitted": full, "effective": full}
    return {**sets, "permitted": sets["ambient"], "effective": sets["ambient"]}


def capabilities(result: Result) -> "dict[str, int]":
    found = fields(result)
    return {kind: int(found[name], 16) for kind, name in FIELDS.items()}


@pytest.mark.parametrize("user_namespace", [False, True])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("name", MATRIX)
def test_rule_41_five_capability_sets(rt: Runtime, make: Make, name: str, uid: int, user_namespace: bool) -> None:
    asked = MATRIX[name]
    bundle, box = make("cat", "/proc/self/status"), new_id()
    if user_namespace:
        bundle.user_namespace()
    bundle.process["user"] = {"uid": uid, "gid": uid}
    bundle.process["noNewPrivileges"] = False  # it would keep root from regaining what the bounding set has
    bundle.process["capabilities"] = asked
    if asked is None:
        del bundle.process["capabilities"]
    wanted = expected(asked, uid)
    assert capabilities(rt.run(bundle)) == wanted
    bundle.process["args"] = ["sleep", "60"]
    assert rt.run(bundle, "--detach", id=box).rc == 0
    assert capabilities(rt("exec", box, "cat", "/proc/self/status")) == wanted
    file = rt.folder / "process.json"
    file.write_text(json.dumps({**bundle.process, "args": ["cat", "/proc/self/status"]}))
    assert capabilities(rt("exec", "--process", file, box)) == wanted
    more = {kind: [*(asked or {}).get(kind, []), C] for kind in ("bounding", "permitted", "effective")}
    wanted = expected({**(asked or {}), **more}, uid)  # not ambient: that needs it in the inheritable set too
    assert capabilities(rt("exec", "--cap", C, box, "cat", "/proc/self/status")) == wanted
    assert rt("delete", "--force", box).rc == 0


def test_rule_41_nothing_is_inherited_from_the_caller(rt: Runtime, make: Make) -> None:
    """A caller with inheritable and ambient capabilities gives none of them away."""
    bundle, name = make("cat", "/proc/self/status"), new_id()
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.process["capabilities"] = {}
    bundle.write()
    rich = ["setpriv", "--inh-caps=+chown,+kill", "--ambient-caps=+chown,+kill"]
    words = rt.command("run", "--bundle", bundle.path, name)
    done = subprocess.run([*rich, *words], capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
    if "setpriv" in done.stderr:
        pytest.skip(f"needs a setpriv that sets ambient capabilities: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    sets = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Cap")]
    assert sets == ["0" * 16] * 5


# word of --user, ids that the program prints, or None where it is refused
USERS = [
    ("0", ("0", "0")), ("1", ("1", "0")), ("1:2", ("1", "2")), ("0:0", ("0", "0")), ("00", ("0", "0")),
    ("65534:65534", ("65534", "65534")), ("4294967294", ("4294967294", "0")), ("0007:08", ("7", "8")),
    ("", None), (":", None), (":5", None), ("1:", None), ("-1", None), ("+1", None), ("1 ", None), (" 1", None),
    ("root", None), ("1:root", None), ("4294967295", None), ("4294967296", None), ("99999999999999999999", None),
    ("0x1", None), ("1.0", None), ("1e3", None), ("1_000", None), ("\u0661", None), ("1:2:3", None), ("1,2", None),
    ("1\n", None), ("1:-1", None), ("1:4294967295", None),
]  # fmt: skip


@pytest.mark.parametrize(("word", "ids"), USERS, ids=[repr(word) for word, _ in USERS])
def test_rule_42_user_strings(rt: Runtime, make: Make, word: str, ids: "tuple[str, str] | None") -> None:
    """`--user 1` is uid 1 and not uid 0; what is no number is nobody. The empty word is no --user at all."""
    bundle, name = make("sleep", "60"), new_id()
    bundle.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [33]}
    assert rt.run(bundle, "--detach", id=name).rc == 0
    result = rt("exec", "--user", word, name, "sh", "-c", "id -u; id -g; id -G")
    if not word:
        ids = ("0", "0")
    if ids is None:
        assert result.rc == 255, result
        assert "--user: expected a number from 0 to 4294967294" in result.err, result
        assert result.out == ""
    else:
        assert result.out.split() == [*ids, ids[1], "33"], result
    assert rt("delete", "--force", name).rc == 0


GROUPS = [([], [], []), ([7], [], ["7"]), ([], ["9"], ["9"]), ([7], ["9", "0"], ["7", "9", "0"])]


@pytest.mark.parametrize("user_namespace", [False, True])
@pytest.mark.parametrize(("listed", "given", "shown"), GROUPS, ids=str)
def test_rule_42_groups_are_always_set(
    rt: Runtime, make: Make, listed: "list[int]", given: "list[str]", shown: "list[str]", user_namespace: bool
) -> None:
    """The caller's own groups, here 4 and 20, never get in."""
    bundle, name = make("cat", "/proc/self/status"), new_id()
    if user_namespace:
        bundle.user_namespace()
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": listed}
    caller = {"extra_groups": [4, 20]}
    assert fields(rt.run(bundle, **caller))["Groups"].split() == [str(gid) for gid in listed]
    bundle.process["args"] = ["sleep", "60"]
    assert rt.run(bundle, "--detach", id=name, **caller).rc == 0
    more = [word for gid in given for word in ("--additional-gids", gid)]
    result = rt("exec", *more, name, "cat", "/proc/self/status", **caller)
    assert sorted(fields(result)["Groups"].split()) == sorted(shown)
    assert rt("delete", "--force", name).rc == 0


NUMBERS = [-1, 4294967295, 2**64, 1.5, "0", True, [], {}]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("field", ["uid", "gid", "additionalGids"])
def test_rule_42_numbers_of_the_config(rt: Runtime, bundle: Bundle, field: str, number: object) -> None:
    bundle.process["user"] = {"uid": 0, "gid": 0, field: [number] if field == "additionalGids" else number}
    result = rt.run(bundle)
    assert result.rc == 1, result
    assert f"process.user.{field}" in result.err
    assert "expected" in result.err
    assert rt.containers() == []


# Rule 45

NAMESPACES = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid", "user": "user", "cgroup": "cgroup"}
NOT_ONES = ("missing", "file", "fifo", "folder", "link to a file", "dangling link", "device", "wrong kind", "link")


@pytest.fixture
def places(tmp_path: Path) -> "dict[str, Path]":
    """Paths that are no namespace of any kind."""
    folder = tmp_path / "places"
    folder.mkdir()
    found = {name: folder / name.replace(" ", "-") for name in NOT_ONES}
    found["file"].write_text("net:[4026531840]\n")
    os.mkfifo(found["fifo"])
    found["folder"].mkdir()
    found["link to a file"].symlink_to("file")
    found["dangling link"].symlink_to("nowhere")
    found["device"] = Path("/dev/zero")
    return found


@pytest.mark.parametrize("what", NOT_ONES)
@pytest.mark.parametrize("kind", NAMESPACES)
def test_rule_45_a_path_that_is_no_such_namespace(
    rt: Runtime, bundle: Bundle, places: "dict[str, Path]", kind: str, what: str
) -> None:
    """Refused with the path and the kind that is expected, before a process is made. A FIFO does not hang us."""
    path = places[what]
    if what in ("wrong kind", "link"):
        other = "uts" if kind != "uts" else "net"
        path = Path(f"/proc/self/ns/{other}")
        if what == "link":
            places[what].symlink_to(path)
            path = places[what]
    kinds = [entry for entry in bundle.linux["namespaces"] if entry["type"] != kind]
    bundle.linux["namespaces"] = [*kinds, {"type": kind, "path": str(path)}]
    result = rt.run(bundle, timeout=10)
    assert result.rc == 1, result
    assert f"linux.namespaces[{len(kinds)}].path {path}" in result.err, result
    assert f"expected a {kind} namespace" in result.err, result
    assert rt.containers() == []


def test_rule_45_a_link_to_the_right_kind(rt: Runtime, make: Make, tmp_path: Path) -> None:
    """Followed once, when it is opened: `ip netns` and its users keep namespaces that way."""
    holder, name = make("sleep", "60"), new_id()
    assert rt.create(holder, id=name).rc == 0
    pid = rt.state(name)["pid"]
    link = tmp_path / "link"
    link.symlink_to(f"/proc/{pid}/ns/net")
    bundle = make("readlink", "/proc/self/ns/net")
    for entry in bundle.linux["namespaces"]:
        if entry["type"] == "network":
            entry["path"] = str(link)
    assert rt.run(bundle).out.strip() == os.readlink(f"/proc/{pid}/ns/net")
    assert rt("delete", "--force", name).rc == 0


def test_a_mount_namespace_of_the_caller_s_is_not_pivoted(rt: Runtime, make: Make) -> None:
    """In a copy of our mount namespace, as the root of all that live in it is at stake; the shell there is static."""
    bundle = make("true")
    for entry in bundle.linux["namespaces"]:
        if entry["type"] == "mount":
            entry["path"] = "/proc/self/ns/mnt"
    run = " ".join(rt.command("run", "--bundle", bundle.write().path, new_id()))
    script = f"{run}; echo rc $?; test -e /proc/self/root{bundle.path} && echo same root"
    words = ["unshare", "--mount", "--propagation", "private", "/bin/busybox", "sh", "-c", script]
    result = subprocess.run(words, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert result.stdout == "rc 1\nsame root\n", result
    assert "is the mount namespace of this command" in result.stderr
