"""Libraries of engines: where they are found, whose they may be, what is said of one that is another."""

import os
from pathlib import Path

import pytest

from pyruntime.engine.cdata import address, buffer
from pyruntime.engine.native import SETTING, Library, directories, identity, seek_library, text, text_at, text_of
from pyruntime.errors import Error

NAMES = ("libengine.so.1", "libengine.so")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that the setting names."""
    import posix

    directory = tmp_path / "lib"
    directory.mkdir(mode=0o755)
    monkeypatch.setitem(posix.environ, SETTING, f"relative:{directory}/:".encode())  # type: ignore[arg-type]
    return directory


def test_the_settings_directories_come_first(place: Path) -> None:
    assert directories()[0] == str(place)
    assert "relative" not in directories()
    assert "/usr/lib" in directories()


def test_the_name_with_a_version_is_preferred_and_links_are_resolved(place: Path) -> None:
    (place / "libengine.so.1.2").touch()
    (place / "libengine.so").touch()
    (place / "libengine.so.1").symlink_to("libengine.so.1.2")
    found = seek_library("some", NAMES, "install it")
    assert found == f"{place}/libengine.so.1.2"
    assert identity(found).startswith("libengine.so.1.2 0 ")


@pytest.mark.usefixtures("place")
def test_an_absent_library_is_told_with_the_places_and_the_cure() -> None:
    with pytest.raises(Error, match=r"engine some: no libengine\.so\.1 in .*/lib.*; apt install it"):
        seek_library("some", NAMES, "apt install it")


def test_what_everybody_can_write_is_refused(place: Path) -> None:
    (place / "libengine.so").touch()
    (place / "libengine.so").chmod(0o666)
    with pytest.raises(Error, match=r"engine some: .*libengine\.so can be written by everybody"):
        seek_library("some", NAMES, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_link_in_a_directory_of_somebody_else_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "libengine.so").touch()
    (place / "libengine.so").symlink_to(tmp_path / "libengine.so")
    os.chown(place, 12345, 12345)
    with pytest.raises(Error, match=f"{place} belongs to uid 12345"):
        seek_library("some", NAMES, "")


def test_what_is_no_library_is_an_error(place: Path) -> None:
    (place / "libengine.so").write_text("text")
    with pytest.raises(Error, match="engine some: .*install it again"):
        Library("some", f"{place}/libengine.so", {})


def test_a_missing_function_is_named_unless_it_is_optional() -> None:
    library = Library("some", None, {"strlen": "P>Q"}, {"no_such_function": ">"})  # type: ignore[arg-type]
    assert library.strlen(b"four") == 4
    assert library.no_such_function is None
    with pytest.raises(Error, match="has no function no_such_function"):
        Library("some", None, {"no_such_function": ">"})  # type: ignore[arg-type]


def test_texts() -> None:
    made = text("käse")
    assert text_of(made) == "käse"
    assert text_of(text("")) == ""
    content = buffer(b"until the zero\0more")
    assert text_at(address(content)) == "until the zero"
    assert text_at(None) == ""
