"""Network devices and their addresses, by rtnetlink(7) as pyroute2 speaks it.

pyroute2 is handed in as a module: it is an extra, found and loaded only for a configuration that moves devices.
"""

import posix as os

from pyruntime.kernel import ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IFA_F_NODAD, IFA_F_PERMANENT, IFA_F_NOPREFIXROUTE = 0x02, 0x80, 0x200
_KEPT_FLAGS = IFA_F_NODAD | IFA_F_NOPREFIXROUTE
_RT_SCOPE_UNIVERSE = 0
_ENODEV, _EEXIST = 19, 17


class Links:
    """A route socket of one network namespace: that of the caller, or the one behind `ns_fd`."""

    def __init__(self, pyroute2: "Any", ns_fd: "int | None" = None) -> None:
        """Raises OSError. The caller has one thread, and is in its own namespace again afterwards."""
        self._error = pyroute2.NetlinkError
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if ns_fd is not None:
                ns.setns(ns_fd, "network")
            try:
                self._route = pyroute2.IPRoute()
            finally:
                ns.setns(home, "network")
        finally:
            os.close(home)

    def close(self) -> None:
        """Close the socket."""
        self._route.close()

    def index(self, name: str) -> int:
        """The number of the device with this name. Raises OSError (ENODEV)."""
        found = self._ask(name, self._route.link_lookup, ifname=name)
        if not found:
            raise OSError(_ENODEV, os.strerror(_ENODEV), name)
        return int(found[0])

    def indexes(self) -> "set[int]":
        """The numbers of all devices."""
        return {link["index"] for link in self._ask("links", self._route.get_links)}

    def addresses(self, index: int) -> "list[dict[str, Any]]":
        """The addresses of a device that are worth keeping: permanent ones of global scope, as `add_address` takes
        them. The others are of the network it was in.
        """
        found = []
        for message in self._ask("addresses", self._route.get_addr, index=index):
            flags = message.get_attr("IFA_FLAGS") or message["flags"]
            if flags & IFA_F_PERMANENT and message["scope"] == _RT_SCOPE_UNIVERSE:
                found.append(_address(message, flags))
        return found

    def move(self, index: int, ns_fd: int, name: str) -> None:
        """Move a device and give it a name (which may be a template, `eth%d`) in one request. Raises OSError."""
        self._ask(name, self._route.link, "set", index=index, net_ns_fd=ns_fd, ifname=name)

    def add_address(self, index: int, address: "dict[str, Any]") -> None:
        """Raises OSError."""
        self._ask(str(address["address"]), self._route.addr, "add", index=index, **address)

    def up(self, index: int) -> None:
        """Raises OSError."""
        self._ask("up", self._route.link, "set", index=index, state="up")

    def _ask(self, subject: str, call: "Any", *words: str, **values: "Any") -> "Any":
        try:
            answer = call(*words, **values)
            return list(answer) if answer is not None else []
        except self._error as error:
            raise OSError(error.code, os.strerror(error.code), subject) from None


def _address(message: "Any", flags: int) -> "dict[str, Any]":
    found = {
        "family": message["family"],
        "prefixlen": message["prefixlen"],
        "address": message.get_attr("IFA_ADDRESS"),
        "local": message.get_attr("IFA_LOCAL"),
        "broadcast": message.get_attr("IFA_BROADCAST"),
        "flags": flags & _KEPT_FLAGS,
    }
    return {key: value for key, value in found.items() if value}


class Move:
    """Devices on their way from our network namespace into another one, with their lasting addresses.

    The kernel keeps a device's hardware address, MTU and the like, and takes it down on the way.
    """

    def __init__(self, pyroute2: "Any", ns_fd: int) -> None:
        self.ns_fd = ns_fd
        self.here = Links(pyroute2)
        self.there = Links(pyroute2, ns_fd)

    def close(self) -> None:
        """Close both sockets."""
        self.here.close()
        self.there.close()

    def check(self, name: str, new_name: str) -> None:
        """Raises OSError: ENODEV if the device is missing, EEXIST if the other namespace has one of the new name.

        The kernel would find out about the name only after the move: it is given in the new namespace.
        """
        self.here.index(name)
        try:
            self.there.index(new_name)
        except OSError as error:
            if error.errno == _ENODEV:
                return
            raise
        raise OSError(_EEXIST, os.strerror(_EEXIST), new_name)

    def go(self, name: str, new_name: str) -> None:
        """Move one and bring it up. Raises OSError."""
        index = self.here.index(name)
        addresses = self.here.addresses(index)
        before = self.there.indexes()
        self.here.move(index, self.ns_fd, new_name)
        # It may have got another number than it had, and by a template a name that is not known yet.
        arrived = max(self.there.indexes() - before) if "%" in new_name else self.there.index(new_name)
        for address in addresses:
            self.there.add_address(arrived, address)
        self.there.up(arrived)
