"""`setup` on files that are not as it would like them: links, ends of lines, marks half gone, values of other kinds."""

import json
from pathlib import Path

import pytest

from pyruntime.errors import Error
from pyruntime.look.setup.change import BEGIN, END, Block, JsonEntry, OwnFile


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "config.toml"
    real.write_text("a = 1\n")
    link.symlink_to("real.toml")
    change = Block(str(link), "b = 2\n")
    change.write()
    assert link.is_symlink()
    assert "b = 2" in real.read_text()
    assert change.undo()
    assert (link.is_symlink(), real.read_text()) == (True, "a = 1\n")


def test_a_linked_json_file_too(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "daemon.json"
    real.write_text("{}")
    link.symlink_to(real)
    change = JsonEntry(str(link), ("runtimes", "x"), 1)
    change.write()
    assert json.loads(real.read_text()) == {"runtimes": {"x": 1}}
    change.undo()
    assert (link.is_symlink(), real.read_text()) == (True, "{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daemon.json", "real.json"]


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "config.toml"
    link.symlink_to(tmp_path / "nowhere")
    for change in (Block(str(link), "x\n"), JsonEntry(str(link), ("a",), 1), OwnFile(str(link), "x\n")):
        with pytest.raises(Error, match="leads nowhere"):
            change.write()
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_a_block_whose_end_is_gone_is_left_to_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    text = f"a = 1\n{BEGIN}b = 2\n# theirs, and no mark\nprecious = true\n"
    file.write_text(text)
    with pytest.raises(Error, match="end mark"):
        Block(str(file), "b = 2\n")
    assert file.read_text() == text
    assert END not in text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "# comment"])
def test_ends_of_lines_and_comments_stay(tmp_path: Path, end: str, tail: str) -> None:
    file = tmp_path / "config.toml"
    text = f"version = 3{end}# a comment{end}[a]{end}{tail}".encode()
    file.write_bytes(text)
    file.chmod(0o600)
    change = Block(str(file), "b = 2\n")
    change.write()
    change.write()
    assert file.read_bytes().startswith(text)
    assert file.stat().st_mode & 0o777 == 0o600
    change.undo()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (text, 0o600)


@pytest.mark.parametrize("text", ['{"runtimes": []}', '{"runtimes": "x"}', '{"runtimes": null}', "[" * 100000])
def test_json_of_another_kind_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(text)
    with pytest.raises(Error, match=r"^setup: "):
        JsonEntry(str(file), ("runtimes", "x"), 1).write()
    assert [path.name for path in tmp_path.iterdir()] == ["daemon.json"]
    assert file.read_text() == text
