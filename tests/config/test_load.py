"""Reading whole documents from files."""

import json
import os
import pathlib

import pytest

from pyruntime.config.load import load_config, load_process, load_resources, read_config
from pyruntime.errors import ConfigError
from tests.config.documents import TYPICAL


def test_reads_a_bundles_configuration(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TYPICAL), encoding="utf-8")
    assert load_config(str(tmp_path / "config.json")).to_json() == TYPICAL
    monkeypatch.chdir(tmp_path)
    assert load_config().hostname == "box"


def test_a_missing_configuration_is_said_in_words_that_callers_know(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(str(tmp_path / "config.json"))
    text = str(caught.value)
    assert text.startswith("JSON specification file config.json not found")
    assert str(tmp_path) in text
    assert "pyruntime spec" in text
    assert "-b DIR" in text


def test_the_folder_of_a_missing_default_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^JSON specification file config.json not found in {os.getcwd()}; "):
        load_config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("null", "config.json: config cannot be null"),
        ("[]", "config.json: expected a JSON object"),
        ("{]", "config.json: line 1"),
    ],
)
def test_what_is_no_object_is_no_configuration(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(text.encode())
    assert str(caught.value).startswith(words)


def test_reads_a_process(tmp_path: pathlib.Path) -> None:
    (tmp_path / "p").write_text('{"cwd": "/", "args": ["id"], "user": {"uid": 1, "gid": 2}}', encoding="utf-8")
    process = load_process(str(tmp_path / "p"))
    assert (process.args, process.user.uid, process.user.gid) == (["id"], 1, 2)


def test_refuses_a_bad_process(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"^process file: .*/p: no such file or directory"):
        load_process(str(tmp_path / "p"))
    (tmp_path / "p").write_text('{"cwd": "/", "args": "id"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^process.args: expected a list"):
        load_process(str(tmp_path / "p"))


def test_reads_resources() -> None:
    resources = load_resources(b'{"memory": {"limit": -1}, "pids": {"limit": 5}}')
    assert resources.to_json() == {"memory": {"limit": -1}, "pids": {"limit": 5}}
    assert resources.cpu is None


def test_refuses_bad_resources() -> None:
    with pytest.raises(ConfigError, match=r"^resources.memory.limit: expected bytes as a number, got \"5M\""):
        load_resources(b'{"memory": {"limit": "5M"}}')
    with pytest.raises(ConfigError, match=r"^resources: line 1"):
        load_resources(b"{")
