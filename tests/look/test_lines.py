"""Lines for people: as wide as the terminal, within reason, with paths that begin at the bundle."""

import os

import pytest

from pyruntime.look import lines


@pytest.mark.parametrize(("columns", "room"), [(0, 100), (80, 80), (20, 72), (300, 120), (None, 100)])
def test_there_is_room_as_on_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: "int | None", room: int) -> None:
    def size(_: int) -> os.terminal_size:
        if columns is None:
            raise OSError(25, "Inappropriate ioctl for device")
        return os.terminal_size((columns, 24))

    monkeypatch.setattr(os, "get_terminal_size", size)
    assert lines.room() == room


@pytest.mark.parametrize("bundle", ["/srv/box", "/srv/box/"])
def test_paths_begin_at_the_bundle(bundle: str) -> None:
    assert lines.near("mount /srv/box/rootfs on /srv/box/rootfs, not /srv/boxes", bundle) == (
        "mount box/rootfs on box/rootfs, not /srv/boxes"
    )
