"""Where engine packages are found, and which are refused."""

import os
import sys
from pathlib import Path

import pytest

from pyruntime.engine import find
from pyruntime.engine.find import find_package, installing, places, untrusted
from pyruntime.errors import Error


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one directory searched."""
    directory = tmp_path / "packages"
    directory.mkdir(mode=0o755)
    monkeypatch.setattr(find, "places", lambda: [str(directory)])
    return directory


def test_the_package_and_its_version(only: Path) -> None:
    (only / "engine").mkdir()
    (only / "engine-1.2.3.dist-info").mkdir()
    (only / "engine_more-9.dist-info").mkdir()
    assert find_package("engine") == (str(only), "1.2.3")


def test_no_metadata_no_version(only: Path) -> None:
    (only / "engine").mkdir()
    assert find_package("engine") == (str(only), "")


def test_an_absent_package_names_the_places_and_the_cure(only: Path) -> None:
    with pytest.raises(Error, match=f"no Python package engine in {only}; install it: pip install engine"):
        find_package("engine")


@pytest.mark.parametrize(
    ("marked", "said"), [(True, "pip install --break-system-packages x"), (False, "pip install x")]
)
def test_a_distribution_s_python_takes_a_word_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marked: bool, said: str
) -> None:
    folder = tmp_path / sys.platlibdir / f"python3.{sys.version_info[1]}"
    folder.mkdir(parents=True)
    if marked:
        (folder / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert installing("x") == "pip install x"  # in an environment of its own
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert installing("x") == said


def test_a_link_that_leads_nowhere_is_no_package(only: Path) -> None:
    (only / "engine").symlink_to("gone")
    with pytest.raises(Error, match="no Python package engine"):
        find_package("engine")


def test_what_everybody_can_write_is_refused(only: Path) -> None:
    (only / "engine").mkdir()
    only.chmod(0o777)
    with pytest.raises(Error, match=f"engine engine: {only} can be written by everybody"):
        find_package("engine")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_what_belongs_to_somebody_else_is_refused(only: Path) -> None:
    (only / "engine").mkdir()
    os.chown(only, 12345, 12345)
    with pytest.raises(Error, match=f"{only} belongs to uid 12345"):
        find_package("engine")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_the_directory_a_symlink_leads_to_counts(only: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs/engine").mkdir(parents=True)
    os.chown(tmp_path / "theirs", 12345, 12345)
    (only / "engine").symlink_to(tmp_path / "theirs/engine")
    assert untrusted(str(only / "engine")) == f"{tmp_path}/theirs belongs to uid 12345"


def test_the_list_begins_beside_pyruntime_and_ends_with_the_system() -> None:
    found = places()
    assert found[0] == str(Path(find.__file__).parents[2])
    assert len(found) == len(set(found))
    assert all(place.startswith("/") for place in found)


def test_a_checkout_finds_its_own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".venv/lib/python3.12/site-packages").mkdir(parents=True)
    monkeypatch.setattr(find, "_own_directory", lambda: str(tmp_path))
    assert f"{tmp_path}/.venv/lib/python3.12/site-packages" in places()
