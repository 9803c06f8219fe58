"""Large values: kept to the last byte, or refused; never cut on their way between two processes."""

import json
from collections.abc import Callable

import pytest

from tests.system.harness import Bundle, Runtime, mount, new_id

KIB, MIB = 1 << 10, 1 << 20


def refused(rt: Runtime, bundle: Bundle, words: str) -> None:
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert words in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("size", [64 * KIB, MIB, 15 * MIB], ids=["64 KiB", "1 MiB", "15 MiB"])
def test_annotations_are_kept(rt: Runtime, make: "Callable[..., Bundle]", size: int) -> None:
    bundle, name = make("true"), new_id()
    bundle.config["annotations"] = {"long": "a" * (size - 1) + "z", "n" * (size // 16): "short"}
    assert rt.create(bundle, id=name).rc == 0
    assert rt.state(name)["annotations"] == bundle.config["annotations"]
    assert rt("start", name).rc == 0
    rt.wait_for(name, "stopped")
    assert rt("delete", name).rc == 0


def test_a_configuration_of_more_than_16_mib_is_refused(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["annotations"] = {"long": "a" * (16 * MIB)}
    refused(rt, bundle, "config.json")


@pytest.mark.parametrize("size", [64 * KIB, MIB, 15 * MIB], ids=["64 KiB", "1 MiB", "15 MiB"])
@pytest.mark.parametrize("key", ["destination", "source", "options"])
def test_mounts_are_refused(rt: Runtime, bundle: Bundle, key: str, size: int) -> None:
    """The kernel takes no path of more than 4095 bytes and no option of more than 255."""
    entry = mount("/mnt", "tmpfs" if key == "options" else "bind", ["ro"], "/etc")
    text = "/" + "long/" * (size // 5)
    entry[key] = [f"size={'1' * size}"] if key == "options" else text
    bundle.config["mounts"].append(entry)
    refused(rt, bundle, "mounts[7]")


@pytest.mark.parametrize("length", [200, 256, 300])
def test_a_long_source_of_a_filesystem_is_never_cut(rt: Runtime, make: "Callable[..., Bundle]", length: int) -> None:
    bundle = make("cat", "/proc/self/mountinfo")
    bundle.config["mounts"].append(mount("/mnt", "tmpfs", source="s" * length))
    result = rt.run(bundle)
    if result.rc:
        assert "mounts[7]" in result.err
        assert length > 255
    else:
        assert f" tmpfs {'s' * length} " in result.out


@pytest.mark.parametrize("lines", [10, 340, 341])
def test_id_maps_are_kept_or_refused(rt: Runtime, make: "Callable[..., Bundle]", lines: int) -> None:
    """user_namespaces(7): 340 lines since Linux 4.15, and no more than a page of text in one write."""
    bundle = make("cat", "/proc/self/uid_map").user_namespace(100000, 1)
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name] += [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(1, lines)]
    result = rt.run(bundle)
    if lines == 10:
        assert result.rc == 0, result
    if result.rc == 0:
        assert len(result.out.splitlines()) == lines <= 340
    else:
        assert "idMappings" in result.err
        assert result.err.count("\n") == 1


@pytest.mark.parametrize("size", [64 * KIB, 127 * KIB, MIB, 7 * MIB], ids=["64 KiB", "127 KiB", "1 MiB", "7 MiB"])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_environment_and_arguments(rt: Runtime, make: "Callable[..., Bundle]", verb: str, size: int) -> None:
    """execve(2) takes strings of up to 128 KiB, whole; more is its error and not a shorter string."""
    text = "a" * (size - 10) + "z"
    bundle, name = make("sh", "-c", 'printf "%s%s" "$V" "$1"', "sh", text), new_id()
    bundle.process["env"].append(f"V={text}")
    if verb == "run":
        result = rt.run(bundle)
    else:
        document = rt.folder / "process.json"
        document.write_text(json.dumps(bundle.process))
        assert rt.run(make("sleep", "60"), "--detach", id=name).rc == 0
        result = rt("exec", "--process", document, name)
        assert rt("delete", "--force", name).rc == 0
    if size < 128 * KIB:
        assert (result.rc, result.out) == (0, text * 2)
    else:
        assert result.rc != 0
        assert "argument list too long" in result.err.lower()
        assert result.err.count("\n") == 1
