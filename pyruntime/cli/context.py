"""What every verb is given: the command line, the log, and where state lives."""

import posix as os

from pyruntime.cli.grammar import Invocation
from pyruntime.errors import Error, UsageError, explain_oserror, one_line
from pyruntime.pathtext import absolute
from pyruntime.report.log import Log
from pyruntime.state.ids import check_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from pyruntime.cli.grammar import Options
    from pyruntime.state.store import Container
    from pyruntime.walk.walker import Walker

    class Watcher(Protocol):
        """Who wants to see a walk: its times (`--trace`), or every step of it (`step`)."""

        def watch(self, walker: Walker) -> None:
            """Called with a walker that is about to walk."""


_WHEN = {"auto": None, "": None, "true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
_MANAGERS = ("cgroupfs", "systemd", "disabled")


class Context:
    """One command: its options and arguments, its log, its state root."""

    def __init__(self, asked: Invocation, log: Log, watcher: "Watcher | None" = None) -> None:
        self.verb = asked.verb or ""
        self.globals: Options = asked.globals
        self.options: Options = asked.options
        self.arguments = asked.arguments
        self.log = log
        self.watcher = watcher
        self.folder = ""  # the bundle, where it was named in the place of the id
        self.config_file = ""  # the absolute path of the configuration that was read

    @property
    def root(self) -> str:
        """The state root as an absolute path."""
        from pyruntime.state import roots

        given = self.globals.text("root")
        if given:
            return roots.check_root(given)
        from pyruntime.host.userns import in_user_namespace

        euid = os.geteuid()
        return roots.default_root(os.environ, euid, euid == 0 and in_user_namespace())

    @property
    def id(self) -> str:
        """The container id, checked. Raises UsageError."""
        return check_id(self.arguments[0])

    def take_folder_for_bundle(self) -> None:
        """Take `run FOLDER` for `run --bundle FOLDER NAME` where FOLDER holds a config.json; NAME is its last part.

        An id that lies beside a config.json stays one, as callers of runc mean it. Raises UsageError for what is
        neither.
        """
        folder = self.arguments[0]
        if not folder or self.options.given("bundle") or self.options.given("config"):
            return
        no_id = "/" in folder or folder in (".", "..")
        if (no_id or not _is_there("config.json")) and _is_there(f"{folder}/config.json"):
            self.folder = folder
            self.arguments = [absolute(folder).rpartition("/")[2], *self.arguments[1:]]
        elif no_id:
            why = "letters, digits and _ + - . are allowed, and a folder if it is a bundle, with a config.json in it"
            raise UsageError(f"invalid container ID format: {folder[:64]!a}: {why}")

    @property
    def rootless(self) -> "bool | None":
        """--rootless: True, False, or None to find out. Raises UsageError."""
        word = (self.globals.text("rootless") or "auto").lower()
        if word not in _WHEN:
            raise UsageError(f"--rootless {word}: expected true, false or auto")
        return _WHEN[word]

    @property
    def cgroup_manager(self) -> str:
        """`cgroupfs`, `systemd` or `disabled`. Raises UsageError for anything else."""
        manager = self.globals.text("cgroup-manager") or "cgroupfs"
        if manager not in _MANAGERS:
            raise UsageError(f"--cgroup-manager {manager}: expected {', '.join(_MANAGERS)}")
        return "systemd" if self.globals.flag("systemd-cgroup") else manager

    def ids(self) -> "list[str]":
        """The ids below the state root, sorted. A default root that is not there holds none. Raises Error."""
        from pyruntime.state.store import names, not_ours

        try:
            return names(self.root)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not self.globals.given("root"):
                return []
            raise Error(f"--root: cannot list the containers: {explain_oserror(error)}{not_ours(error)}") from None

    def load(self, lock: bool = False) -> "Container":
        """The container named by the first argument. Raises StateError."""
        from pyruntime.state.store import load

        return load(self.root, self.id, lock)


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in it
        return False
    return True


def write_out(text: str) -> None:
    """Print to stdout, all of it. Raises OSError."""
    _write(1, text)


def complain(text: str) -> None:
    """Say on stderr, in one line, what was left out, while the command goes on and succeeds. Raises OSError."""
    _write(2, one_line(text) + "\n")


def _write(fd: int, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(fd, data) :]
