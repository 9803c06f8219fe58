"""What we ask of systemd, the system's or a user's: methods of its manager object, org.freedesktop.systemd1(5)."""

import posix as os

from pyruntime.cgroup.systemd.bus import PATIENCE, PRIVATE, Bus, Dropped, Refused
from pyruntime.cgroup.systemd.names import object_path
from pyruntime.errors import Error, hushed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Property = tuple[str, tuple[str, Any]]

_SYSTEMD = "org.freedesktop.systemd1"
_OBJECT = "/org/freedesktop/systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"
_BOOTED = "/run/systemd/system"  # sd_booted(3)
_SYSTEM = ("/run/dbus/system_bus_socket", f"/run{PRIVATE}")


class Taken(Error):
    """A unit of this name is at work, and it is not ours."""


class About:
    """A manager that answers at `address`: systemd's version, and the cgroup below which all its units are."""

    __slots__ = ("address", "control_group", "user", "version")

    def __init__(self, address: str, user: bool, version: int, control_group: str) -> None:
        self.address = address
        self.user = user
        self.version = version
        self.control_group = control_group


class Manager:
    """A connection to one manager. Errors are one line that names the unit."""

    def __init__(self, address: str, user: bool, seconds: float = PATIENCE) -> None:
        self.address = address
        self.user = user
        self._seconds = seconds
        self._bus = Bus(address, seconds)
        self._watching = False

    def about(self) -> About:
        """Who answers. Raises Error."""
        version = _number(str(self._get(_OBJECT, _MANAGER, "Version")))
        return About(self.address, self.user, version, str(self._get(_OBJECT, _MANAGER, "ControlGroup")))

    def start(self, unit: str, properties: "list[Property]") -> None:
        """Start a transient unit and wait until it is there. Raises Taken; Error when systemd can't make it.

        What an earlier unit of this name left behind when it failed is reset, systemctl(1) `reset-failed`.
        """
        arguments: "tuple[Any, ...]" = (unit, "replace", properties, [])
        try:
            job = self._job("StartTransientUnit", "ssa(sv)a(sa(sv))", *arguments)
        except Refused as error:
            if error.name != "UnitExists":
                raise self._failed(unit, error) from None
            self.reset(unit)
            job = self._again(unit, arguments)
        result = self._result(unit, job)
        if result != "done":
            why = self.why(unit) if result == "failed" else ""
            self.reset(unit)
            raise Error(f"systemd unit {unit}: {result}{f' ({why})' if why else ''}; {self._see(unit)}")

    def _again(self, unit: str, arguments: "tuple[Any, ...]") -> str:
        try:
            return self._job("StartTransientUnit", "ssa(sv)a(sa(sv))", *arguments)
        except Refused as error:
            if error.name != "UnitExists":
                raise self._failed(unit, error) from None
            raise Taken(
                f"systemd unit {unit}: is there already; delete the container that has it, or: "
                f"{self._word('systemctl')} stop {unit}"
            ) from None

    def stop(self, unit: str) -> None:
        """Stop a unit and wait until it is gone; gone already is fine. Raises Error."""
        try:
            result = self._result(unit, self._job("StopUnit", "ss", unit, "replace"))
        except Refused as error:
            if error.name != "NoSuchUnit":
                raise self._failed(unit, error) from None
            return
        self.reset(unit)
        if result not in ("done", "canceled"):
            raise Error(f"systemd unit {unit}: stopping it: {result}; {self._see(unit)}")

    def reset(self, unit: str) -> None:
        """Let systemd forget a unit that failed; one that did not, or is gone, is left as it is. Raises Error."""
        try:
            self._call("ResetFailedUnit", "s", unit)
        except Refused:
            return

    def change(self, unit: str, properties: "list[Property]") -> None:
        """Change properties of a unit until the next boot. Raises Error."""
        try:
            self._call("SetUnitProperties", "sba(sv)", unit, True, properties)
        except Refused as error:
            raise self._failed(unit, error) from None

    def attach(self, unit: str, below: str, pid: int) -> None:
        """Move a process into the unit's cgroup, or `below` it by a path that starts with a slash. Raises Error."""
        try:
            self._call("AttachProcessesToUnit", "ssau", unit, below, [pid])
        except Refused as error:
            raise self._failed(unit, error) from None

    def why(self, unit: str) -> str:
        """The word for how a scope ended, such as `oom-kill`; "" if it can't be had or there is nothing to say."""
        try:
            word = str(self._get(object_path(unit), f"{_SYSTEMD}.Scope", "Result"))
        except Error:
            return ""
        return "" if word == "success" else word

    def close(self) -> None:
        """End the connection."""
        self._bus.close()

    def _job(self, member: str, signature: str, *values: "Any") -> str:
        """Call a method that queues a job; the job's object."""
        self._watch()
        return str(self._call(member, signature, *values)[0])

    def _watch(self) -> None:
        if not self._watching:
            self._bus.watch(f"type='signal',sender='{_SYSTEMD}',interface='{_MANAGER}',member='JobRemoved'")
            self._watching = True

    def _result(self, unit: str, job: str) -> str:
        """Wait for the end of a job: done, canceled, timeout, failed, dependency or skipped. Raises Error."""
        try:
            return str(self._bus.signal("JobRemoved", lambda told: len(told) == 4 and told[1] == job)[3])
        except Error as error:
            raise Error(f"systemd unit {unit}: {error.text}; {self._see(unit)}") from None

    def _call(self, member: str, signature: str = "", *values: "Any") -> "list[Any]":
        """A method of the manager; once more over a new connection if this one is dropped: a bus may restart."""
        try:
            return self._bus.call(_SYSTEMD, _OBJECT, _MANAGER, member, signature, *values)
        except Dropped:
            self._bus.close()
            self._bus = Bus(self.address, self._seconds)
            if self._watching:
                self._watching = False
                self._watch()
            return self._bus.call(_SYSTEMD, _OBJECT, _MANAGER, member, signature, *values)

    def _get(self, path: str, interface: str, name: str) -> "Any":
        """A property's value, without its signature."""
        properties = "org.freedesktop.DBus.Properties"
        return self._bus.call(_SYSTEMD, path, properties, "Get", "ss", interface, name)[0][1]

    def _failed(self, unit: str, error: Refused) -> Error:
        """In systemd's words, which are not to be taken for ours by those who sort errors."""
        return Error(f"systemd unit {unit}: {error.name}{f': {hushed(error.said)}' if error.said else ''}")

    def _see(self, unit: str) -> str:
        return f"see: {self._word('journalctl')} -u {unit}"

    def _word(self, command: str) -> str:
        return f"{command} --user" if self.user else command


def find(rootless: bool) -> About:
    """The manager that is to make our cgroups: the user's where `rootless`, else the system's. Raises Error.

    Root of a user namespace that has no manager of a user within reach takes the system's: it may be root of a whole
    system in a container.
    """
    tried: "list[str]" = []
    for user, address in _places(rootless):
        try:
            manager = Manager(address, user)
        except Error as error:
            tried.append(error.text)
            continue
        try:
            return manager.about()
        except Refused as error:  # a bus without systemd on it
            tried.append(f"{address}: {error.name}")
        except Error as error:
            tried.append(error.text)
        finally:
            manager.close()
    raise Error(
        f"--systemd-cgroup: systemd is not to be reached: {'; '.join(tried) or 'no address'}; {_advice(rootless)}"
    )


def _advice(rootless: bool) -> str:
    if not rootless and not os.access(_BOOTED, os.F_OK):
        return f"this host was not booted with it (no {_BOOTED}): let the engine use its cgroupfs driver"
    if rootless:
        return (
            "log in by a session of systemd (ssh, machinectl shell) or loginctl enable-linger, set XDG_RUNTIME_DIR, "
            "install dbus-user-session, or use the cgroupfs driver"
        )
    return "start dbus, or use the cgroupfs driver"


def _places(rootless: bool) -> "Iterator[tuple[bool, str]]":
    """(whether of a user, socket) in the order in which they are tried."""
    if rootless:
        yield from ((True, address) for address in user_sockets(os.environ, os.geteuid()))
    if not rootless or os.geteuid() == 0:
        yield from ((False, address) for address in _SYSTEM)


def user_sockets(environment: "dict[bytes, bytes]", euid: int) -> "list[str]":
    """Where the manager of a user may listen: the session bus, and its own socket beside it (sd_bus_open_user(3))."""
    given = environment.get(b"DBUS_SESSION_BUS_ADDRESS", b"").decode("utf-8", "surrogateescape")
    runtime = environment.get(b"XDG_RUNTIME_DIR", b"").decode("utf-8", "surrogateescape")
    if not runtime and euid:
        runtime = f"/run/user/{euid}"
    beside = [f"{runtime}/bus", f"{runtime}{PRIVATE}"] if runtime else []
    return list(dict.fromkeys([*_unix(given), *beside]))


def _unix(addresses: str) -> "Iterator[str]":
    """The unix sockets of a list of D-Bus addresses (D-Bus Specification, "Server Addresses")."""
    for address in addresses.split(";"):
        transport, _, rest = address.partition(":")
        pairs = dict(part.partition("=")[::2] for part in rest.split(","))
        if transport == "unix" and "path" in pairs:
            yield _plain(pairs["path"])
        elif transport == "unix" and "abstract" in pairs:
            yield "@" + _plain(pairs["abstract"])


def _plain(text: str) -> str:
    """Without the %XX of an address."""
    head, *rest = text.split("%")
    try:
        return head + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)
    except ValueError:
        return text


def _number(version: str) -> int:
    """252 for `252.39-1~deb12u1`, `v252` or `"252"`; 0 for what has no number."""
    digits = ""
    for letter in version.lstrip('"v'):
        if not letter.isdigit():
            break
        digits += letter
    return int(digits or 0)
