"""The words of a mount's `options`: which are flags, which are propagation, which are data for the filesystem.

config.md, "Mounts", and mount(8). Tables first: `features` prints their names.
"""

from pyruntime.errors import ConfigError
from pyruntime.kernel import mounts as m
from pyruntime.steps.mounts import Attributes

# word -> (attributes to set, attributes to clear)
FLAGS = {
    "ro": (m.RDONLY, 0), "rw": (0, m.RDONLY), "nosuid": (m.NOSUID, 0), "suid": (0, m.NOSUID), "nodev": (m.NODEV, 0),
    "dev": (0, m.NODEV), "noexec": (m.NOEXEC, 0), "exec": (0, m.NOEXEC), "nodiratime": (m.NODIRATIME, 0),
    "diratime": (0, m.NODIRATIME), "nosymfollow": (m.NOSYMFOLLOW, 0), "symfollow": (0, m.NOSYMFOLLOW),
    "noatime": (m.NOATIME, m.ATIME_FIELD), "atime": (0, m.ATIME_FIELD), "relatime": (0, m.ATIME_FIELD),
    "norelatime": (0, m.ATIME_FIELD), "strictatime": (m.STRICTATIME, m.ATIME_FIELD),
    "nostrictatime": (0, m.ATIME_FIELD),
}  # fmt: skip
# word -> MS_* of mount(2)
_ATIMES = {"noatime": 0x400, "nodiratime": 0x800, "relatime": 1 << 21, "strictatime": 1 << 24}
_NO_ATIMES = {"atime": "noatime", "diratime": "nodiratime", "norelatime": "relatime", "nostrictatime": "strictatime"}
# word -> the filesystem's own flag, None where the word only says what is the default
SUPERBLOCK = {
    "sync": "sync", "async": "async", "dirsync": "dirsync", "mand": "mand", "nomand": "nomand",
    "lazytime": "lazytime", "nolazytime": "nolazytime", "iversion": "i_version", "noiversion": None,
    "silent": None, "loud": None, "defaults": None, "acl": None, "noacl": None,
}  # fmt: skip
PROPAGATION = tuple(prefix + kind for prefix in ("", "r") for kind in m.PROPAGATION)
RECURSIVE = {f"r{word}": FLAGS[word] for word in FLAGS}
EXTENSIONS = ("tmpcopyup", "idmap", "ridmap", "copy-symlink")
REMOUNT = "remount"
# Words of other runtimes: a filesystem would refuse them too, but late and with no hint.
_FOREIGN = {
    "src-nofollow": "name the file that the source leads to",
    "dest-nofollow": "name the place that the destination leads to; links are followed inside the container's root",
}
# What other tools say for words that are not spelt like them.
_MEANT = {"readonly": "ro", "read-only": "ro", "readwrite": "rw", "rdonly": "ro", "private-rec": "rprivate"}


class Options:
    """The options of one mount, sorted."""

    def __init__(self) -> None:
        self.attributes = Attributes()
        self.flagged = False
        self.bind = ""
        self.copy_up = False
        self.copy_link = False
        self.remount = False
        self.idmap = ""
        self.idmap_text = ""
        self.data: "list[tuple[str, str | None]]" = []
        self.superblock: "list[tuple[str, str | None]]" = []

    def has_data(self) -> "str | None":
        """The first word that only a filesystem could understand."""
        return self.data[0][0] if self.data else None


def meant(word: str, data: "tuple[str, ...]" = ()) -> str:
    """`; did you mean "ro"?`, or "" when nothing is near. `data`: names that the filesystem knows beside ours."""
    from pyruntime.config.near import did_you_mean

    name, equals, _ = word.partition("=")
    if name.lower() in _MEANT:
        return f'; did you mean "{_MEANT[name.lower()]}"?'
    known = [*([] if equals and data else names()), *data]
    return did_you_mean(name, known, '"{}' + ("=…" if equals else "") + '"')


def no_bind_option(words: "list[str]", name: str, path: str) -> ConfigError:
    """The error of an option `name` among `words` that only a filesystem could understand, on a bind mount."""
    index = next(number for number, word in enumerate(words) if word.partition("=")[0] == name)
    hint = meant(words[index]) or "; bind mounts cannot have any filesystem-specific options applied"
    return ConfigError(f"{path}[{index}]", f'"{words[index]}": no such bind option{hint}')


def parse(words: "list[str]", path: str, fstype: str) -> Options:
    """Sort the words of `options` at the config path `path`. Raises ConfigError for one that can't be meant."""
    options = Options()
    for index, word in enumerate(words):
        if not word or "\n" in word:
            raise ConfigError(f"{path}[{index}]", f"expected a mount option, got {word!r}")
        if word in _FOREIGN:
            raise ConfigError(f"{path}[{index}]", f'"{word}" is not supported; remove it and {_FOREIGN[word]}')
        _sort(options, word)
    if fstype != "bind" and not options.bind and options.copy_up and fstype != "tmpfs":
        raise ConfigError(path, f'"tmpcopyup" goes with tmpfs, not with {fstype or "a mount without a type"}')
    return options


def _sort(options: Options, word: str) -> None:
    attributes = options.attributes
    if word in ("bind", "rbind"):
        options.bind = word
    elif word in FLAGS:
        options.flagged = True
        on, off = FLAGS[word]
        attributes.set = (attributes.set & ~off) | on
        attributes.clear = (attributes.clear & ~on) | (off & ~on)
        attributes.atimes |= _ATIMES.get(word, 0)
        attributes.atimes &= ~_ATIMES.get(_NO_ATIMES.get(word, ""), 0)
    elif word in PROPAGATION:
        attributes.propagation.append((m.PROPAGATION[word.removeprefix("r")], word.startswith("r")))
    elif word in RECURSIVE:
        on, off = RECURSIVE[word]
        attributes.recursive_set = (attributes.recursive_set & ~off) | on
        attributes.recursive_clear = (attributes.recursive_clear & ~on) | off
    elif word in SUPERBLOCK:
        flag = SUPERBLOCK[word]
        options.flagged = True
        if flag:
            options.superblock.append((flag, None))
    elif word == "tmpcopyup":
        options.copy_up = True
    elif word == "copy-symlink":
        options.copy_link = True
    elif word.partition("=")[0] in ("idmap", "ridmap"):
        options.idmap, _, options.idmap_text = word.partition("=")
    elif word == REMOUNT:
        options.flagged = options.remount = True
    else:
        name, equals, value = word.partition("=")
        options.data.append((name, value if equals else None))


def names() -> "list[str]":
    """Every word we interpret, as `features` lists them."""
    return sorted({"bind", "rbind", REMOUNT, *FLAGS, *SUPERBLOCK, *PROPAGATION, *RECURSIVE, *EXTENSIONS})
