"""Wrong configurations, root file systems and command lines: one line names the cause, and nothing is made."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.errors.classifiers import kind
from tests.system.bad_configs import CONFIGS, GONE, put
from tests.system.harness import Bundle, Result, Runtime, new_id


def refused(rt: Runtime, result: Result, *words: str, rc: int = 1) -> None:
    """One line on stderr that holds the words, nothing on stdout, nothing made."""
    assert result.rc == rc, result
    assert result.err.count("\n") == 1, result
    assert result.err.endswith("\n"), result
    for word in words:
        assert word in result.err.replace('\\"', '"').replace("\\\\", "\\"), result
    assert "Traceback" not in result.err
    assert "internal error" not in result.err
    assert result.out == "", result
    assert rt.containers() == []


@pytest.mark.parametrize(
    ("path", "value", "words"), CONFIGS, ids=lambda value: str(value)[:40] if isinstance(value, str) else None
)
def test_configuration(rt: Runtime, bundle: Bundle, path: str, value: object, words: str) -> None:
    put(bundle.config, path, value)
    result = rt.run(bundle)
    refused(rt, result, words)
    assert kind(result.err) == kind(words), "engines would make another exit status of it"


def test_create_refuses_as_run_does(rt: Runtime, bundle: Bundle) -> None:
    put(bundle.config, "process.args", ["no-such"])
    refused(rt, rt.create(bundle, id=new_id()), "executable file not found in $PATH")


TEXTS = [
    (b"", "empty"),
    (b"{", "line 1"),
    (b"[]", "expected a JSON object"),
    (b"null", "config cannot be null"),
    (b'{"ociVersion": "1.0.2", "ociVersion": "1.0.3"}', "stands twice"),
    (b'{"a": NaN}', "NaN"),
    (b"{} {}", "line 1"),
    (b'{"a": "\xff"}', "UTF-8"),
    (b"\xef\xbb\xbf{}", "byte order mark"),
    (b'{"a": "line\nbreak"}', "line 1"),
    (b"{'a': 1}", "line 1, column 2"),
    (b" " * (16 * 1024 * 1024 + 1), "16 MiB"),
]


@pytest.mark.parametrize(("text", "words"), TEXTS, ids=[words for _, words in TEXTS])
def test_text_of_config_json(rt: Runtime, bundle: Bundle, text: bytes, words: str) -> None:
    (bundle.path / "config.json").write_bytes(text)
    refused(rt, rt("run", "--bundle", bundle.path, new_id()), words)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _missing(path: Path) -> None:
    assert not path.exists()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


@pytest.mark.parametrize(
    ("make_file", "words"),
    [
        (_fifo, "found a FIFO"),
        (_folder, "found a folder"),
        (_missing, "JSON specification file config.json not found"),
        (_loop, "too many levels of symbolic links"),
        (_socket, "cannot be read"),
    ],
)
def test_file_config_json(rt: Runtime, bundle: Bundle, make_file: "Callable[[Path], None]", words: str) -> None:
    make_file(bundle.path / "config.json")
    refused(rt, rt("run", "--bundle", bundle.path, new_id()), words)


def _link_rootfs(bundle: Bundle) -> None:
    bundle.rootfs.rename(bundle.path / "real")
    bundle.rootfs.symlink_to("real")


def _file_rootfs(bundle: Bundle) -> None:
    bundle.config["root"]["path"] = "plain"
    (bundle.path / "plain").write_text("")


def _link_above(bundle: Bundle) -> None:
    (bundle.path / "link").symlink_to(".")
    bundle.config["root"]["path"] = "link/rootfs"


def _link_at(name: str, target: str) -> "Callable[[Bundle], None]":
    return lambda bundle: (bundle.rootfs / name).symlink_to(target)


def _file_at(name: str) -> "Callable[[Bundle], None]":
    return lambda bundle: (bundle.rootfs / name).write_text("") and None


def _no_mounts(bundle: Bundle) -> None:
    bundle.without("mount")


def _exec_bit(bundle: Bundle) -> None:
    (bundle.rootfs / "script").write_text("#!/bin/sh\n")
    bundle.process["args"] = ["/script"]


def _interpreter(bundle: Bundle) -> None:
    (bundle.rootfs / "script").write_text("#!/no/such/interpreter\n")
    (bundle.rootfs / "script").chmod(0o755)
    bundle.process["args"] = ["/script"]


def _no_format(bundle: Bundle) -> None:
    (bundle.rootfs / "program").write_bytes(b"\0\1\2\3" * 100)
    (bundle.rootfs / "program").chmod(0o755)
    bundle.process["args"] = ["/program"]


def _unmapped(bundle: Bundle) -> None:
    bundle.user_namespace(100000, 10).process["user"] = {"uid": 20, "gid": 0}


def _unmapped_group(bundle: Bundle) -> None:
    bundle.user_namespace(100000, 10).process["user"] = {"uid": 0, "gid": 0, "additionalGids": [11]}


def _overlap(bundle: Bundle) -> None:
    bundle.user_namespace().linux["uidMappings"].append({"containerID": 5, "hostID": 500000, "size": 5})


ROOTFS: "list[tuple[Callable[[Bundle], None], str]]" = [
    (_link_rootfs, "invalid rootfs"),
    (_file_rootfs, "invalid rootfs"),
    (_link_above, "invalid rootfs"),
    (_link_at("proc", "/tmp"), "must be mounted on ordinary directory"),
    (_link_at("sys", "tmp"), "must be mounted on ordinary directory"),
    (_file_at("proc"), "must be mounted on ordinary directory"),
    (_file_at("dev"), "mounts[1]"),
    (_link_at("dev", "dev"), "mounts[1]"),
    (_no_mounts, "add"),
    (_exec_bit, 'exec: "/script": permission denied'),
    (_interpreter, "exec /script: no such file or directory"),
    (_no_format, "exec /program: exec format error"),
    (_unmapped, "process.user"),
    (_unmapped_group, "process.user"),
    (_overlap, "overlaps"),
]


@pytest.mark.parametrize(("change", "words"), ROOTFS, ids=range(len(ROOTFS)))
def test_rootfs(rt: Runtime, bundle: Bundle, change: "Callable[[Bundle], None]", words: str) -> None:
    change(bundle)
    refused(rt, rt.run(bundle), words, rc=255 if words.startswith("exec /") else 1)


ID = "some-id"
COMMANDS: "list[tuple[list[str], int, str, bool]]" = [
    # arguments, exit status, words, whether help is printed on stdout
    (["frobnicate"], 3, 'unknown command "frobnicate"', True),
    (["--no-such-flag"], 1, "flag provided but not defined", True),
    (["create"], 1, "requires exactly 1 argument", True),
    (["create", "a", "b"], 1, "requires exactly 1 argument", True),
    (["run", "--bundle"], 1, "flag needs an argument", True),
    (["run", "--no-such", ID], 1, "flag provided but not defined", True),
    (["run", "--detach=perhaps", ID], 1, "invalid value", True),
    (["run", "--preserve-fds", "many", ID], 1, "invalid value", True),
    (["run", "--preserve-fds", "-1", ID], 1, "--preserve-fds -1", False),
    (["run", "--preserve-fds", "3", ID], 1, "descriptor 3 is not open", False),
    (["run", "--bundle", "/no/such", ID], 1, "--bundle /no/such: no such file or directory", False),
    (["run", "--bundle", "/etc/hostname", ID], 1, "--bundle /etc/hostname: not a directory", False),
    (["run", "--bundle", "@", ""], 1, "container id cannot be empty", False),
    (["run", "--bundle", "@", ".."], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "."], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a/b"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a b"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a\nb"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "é"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a" * 2000], 1, "container", False),
    (["create", "--bundle", "@", "--console-socket", "/no/such", ID], 1, "console socket", False),
    (["run", "--bundle", "@", "--console-socket", "/no/such", ID], 1, "console socket", False),
    (["create", "--bundle", "@", "--pid-file", "/no/such/pid", ID], 1, "/no/such/pid", False),
    (["create", "--bundle", "@", "--pidfd-socket", "/no/such", ID], 1, "/no/such", False),
    (["run", "--bundle", "@", "--pid-file", "/", ID], 1, "pid file", False),
    (["start", ID], 1, "does not exist", False),
    (["state", ID], 1, "does not exist", False),
    (["kill", ID], 1, "does not exist", False),
    (["kill", ID, "NOSUCH"], 1, 'unknown signal "NOSUCH"', False),
    (["kill", ID, "99"], 1, 'unknown signal "99"', False),
    (["kill", ID, "65"], 1, 'unknown signal "65"', False),
    (["delete", ID], 1, "does not exist", False),
    (["delete", ".."], 1, "invalid container ID format", False),
    (["state", "../../etc"], 1, "invalid container ID format", False),
    (["exec", ID, "true"], 255, "does not exist", False),
    (["exec", ID], 255, "exec", False),
    (["pause", ID], 1, "does not exist", False),
    (["resume", ID], 1, "does not exist", False),
    (["ps", ID], 1, "does not exist", False),
    (["events", "--interval", "soon", ID], 1, "invalid value", True),
    (["events", "--stats", ID], 1, "does not exist", False),
    (["update", "--memory", "lots", ID], 1, "invalid value", True),
    (["update", "--memory", "64m", ID], 1, "does not exist", False),
    (["checkpoint", ID], 1, "does not exist", False),
    (["spec", "--bundle", "/no/such"], 1, "/no/such", False),
]
GLOBALS: "list[tuple[list[str], str]]" = [
    (["--log-format", "yaml", "state", ID], "invalid log-format"),
    (["--log", "/no/such/log", "state", ID], "--log"),
    (["--root", "/", "state", ID], "root"),
    (["--root", "/etc/hostname", "run", "--bundle", "@", ID], "state directory"),
    (["--rootless", "perhaps", "run", "--bundle", "@", ID], "--rootless perhaps"),
    (["--cgroup-manager", "nobody", "run", "--bundle", "@", ID], "--cgroup-manager nobody"),
    (["--systemd-cgroup", "run", "--bundle", "@", ID], "systemd"),
]


@pytest.mark.parametrize(("words", "rc", "text", "helps"), COMMANDS, ids=[" ".join(c[0])[:40] for c in COMMANDS])
def test_command_line(rt: Runtime, bundle: Bundle, words: "list[str]", rc: int, text: str, helps: bool) -> None:
    bundle.write()
    result = rt(*(str(bundle.path) if word == "@" else word for word in words))
    if helps:
        assert result.out.startswith("Incorrect Usage."), result
        result.base.with_suffix(".out").write_text("")
    refused(rt, result, text, rc=rc)


@pytest.mark.parametrize(("words", "text"), GLOBALS, ids=[" ".join(words)[:40] for words, _ in GLOBALS])
def test_global_flags(launcher: Path, rt: Runtime, bundle: Bundle, words: "list[str]", text: str) -> None:
    bundle.write()
    rt.command = lambda *_, **__: [str(launcher), *(str(bundle.path) if word == "@" else word for word in words)]  # type: ignore[method-assign]
    refused(rt, rt("-"), text)
    del rt.command  # type: ignore[method-assign]


def test_json_log_has_one_line(rt: Runtime, bundle: Bundle) -> None:
    """Engines read the whole file as one document."""
    put(bundle.config, "process.args", ["no-such"])
    result = rt.run(bundle, log=True)
    refused(rt, result, "executable file not found")
    (line,) = result.log
    assert line["level"] == "error"
    assert "executable file not found in $PATH" in line["msg"]


def test_undecodable_arguments(rt: Runtime, bundle: Bundle) -> None:
    bundle.write()
    command = rt.command("run", "--bundle", bundle.path)
    rt.command = lambda *_, **__: [*command, b"\xff\xfe"]  # type: ignore[method-assign,list-item]
    refused(rt, rt("-"), "invalid container ID format")
    del rt.command  # type: ignore[method-assign]


def test_text_with_control_characters_stays_one_line(rt: Runtime, bundle: Bundle) -> None:
    put(bundle.config, "process.args", ["no\nsuch\x1b[2J"])
    result = rt.run(bundle)
    refused(rt, result, "executable file not found")
    assert "\x1b" not in result.err


def test_id_in_use(rt: Runtime, bundle: Bundle) -> None:
    name = new_id()
    assert rt.create(bundle, id=name).rc == 0
    result = rt.create(bundle, id=name)
    assert result.rc == 1
    assert "container with given ID already exists" in result.err
    assert rt.status(name) == "created"
    assert rt("delete", "--force", name).rc == 0


def test_documents_are_data() -> None:
    """The table's values survive JSON, so that the runtime and not the test meets them."""
    for path, value, _ in CONFIGS:
        if value is not GONE:
            assert json.loads(json.dumps(value)) == value, path
