"""The words of `options`: every one of them lands in one place, and none raises anything but ConfigError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.errors import ConfigError
from pyruntime.kernel import mounts as m
from pyruntime.plan import mountoptions
from pyruntime.plan.mountoptions import parse


@pytest.mark.parametrize(
    ("words", "on", "off"),
    [
        (["ro"], m.RDONLY, 0),
        (["rw"], 0, m.RDONLY),
        (["ro", "rw"], 0, m.RDONLY),
        (["rw", "ro"], m.RDONLY, 0),
        (["nosuid", "nodev", "noexec"], m.NOSUID | m.NODEV | m.NOEXEC, 0),
        (["nosuid", "suid"], 0, m.NOSUID),
        (["noatime"], m.NOATIME, m.ATIME_FIELD & ~m.NOATIME),
        (["strictatime"], m.STRICTATIME, m.ATIME_FIELD & ~m.STRICTATIME),
        (["noatime", "relatime"], 0, m.ATIME_FIELD),
        (["nosymfollow"], m.NOSYMFOLLOW, 0),
        (["defaults"], 0, 0),
    ],
)
def test_flags(words: "list[str]", on: int, off: int) -> None:
    options = parse(words, "o", "tmpfs")
    assert options.attributes.set == on
    assert options.attributes.clear & ~m.ATIME_FIELD == off & ~m.ATIME_FIELD
    if on & m.ATIME_FIELD:
        assert options.attributes.clear & on == 0
    assert options.flagged
    assert options.data == []


@pytest.mark.parametrize("word", ["bind", "rbind"])
def test_binds(word: str) -> None:
    assert parse([word], "o", "").bind == word


@pytest.mark.parametrize(("word", "recursive"), [("rprivate", True), ("slave", False), ("rshared", True)])
def test_propagation(word: str, recursive: bool) -> None:
    assert parse([word], "o", "bind").attributes.propagation == [(m.PROPAGATION[word.removeprefix("r")], recursive)]


def test_recursive_flags_are_kept_apart() -> None:
    attributes = parse(["rro", "rnosuid", "rsuid"], "o", "bind").attributes
    assert (attributes.set, attributes.clear) == (0, 0)
    assert attributes.recursive_set == m.RDONLY
    assert attributes.recursive_clear & m.NOSUID


def test_what_is_no_flag_is_the_filesystems() -> None:
    options = parse(["size=64k", "mode=755", "newinstance", "lazytime"], "o", "tmpfs")
    assert options.data == [("size", "64k"), ("mode", "755"), ("newinstance", None)]
    assert options.superblock == [("lazytime", None)]


def test_copying_up_needs_a_tmpfs() -> None:
    assert parse(["tmpcopyup"], "o", "tmpfs").copy_up
    with pytest.raises(ConfigError, match="tmpcopyup"):
        parse(["tmpcopyup"], "o", "ext4")


@pytest.mark.parametrize("word", ["", "a\nb"])
def test_a_word_that_can_not_be_meant(word: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(["ro", word], "mounts[0].options", "tmpfs")
    assert raised.value.path == "mounts[0].options[1]"


@pytest.mark.parametrize("word", ["src-nofollow", "dest-nofollow"])
@pytest.mark.parametrize("fstype", ["bind", "tmpfs"])
def test_words_of_other_runtimes_are_refused_by_name(word: str, fstype: str) -> None:
    with pytest.raises(ConfigError, match=f'"{word}" is not supported; remove it and ') as raised:
        parse(["ro", word], "mounts[0].options", fstype)
    assert raised.value.path == "mounts[0].options[1]"
    assert word not in mountoptions.names()


@pytest.mark.parametrize("word", ["acl", "noacl"])
def test_access_lists_are_no_data(word: str) -> None:
    options = parse([word], "o", "bind")
    assert (options.data, options.superblock) == ([], [])


def test_remounts() -> None:
    options = parse(["remount", "ro"], "o", "")
    assert (options.remount, options.attributes.set) == (True, m.RDONLY)


@given(
    st.lists(st.sampled_from(mountoptions.names()) | st.text(max_size=12), max_size=6),
    st.sampled_from(["", "bind", "tmpfs", "proc"]),
)
def test_nothing_but_a_configuration_error(words: "list[str]", fstype: str) -> None:
    try:
        options = parse(words, "o", fstype)
    except ConfigError as error:
        assert error.path.startswith("o")  # noqa: PT017 - it is the only error there may be
    else:
        attributes = options.attributes
        assert attributes.set & attributes.clear == 0 or attributes.set & m.ATIME_FIELD
        assert attributes.recursive_set & attributes.recursive_clear & ~m.ATIME_FIELD == 0


@given(st.sampled_from(mountoptions.names()))
def test_a_known_word_is_never_taken_for_the_filesystems(word: str) -> None:
    assert parse([word], "o", "tmpfs").data == []
