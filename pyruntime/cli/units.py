"""What `update` and `delete` ask of systemd for a container whose cgroup it has made."""

from pyruntime.cgroup.systemd import properties
from pyruntime.cgroup.systemd.manager import Manager, find
from pyruntime.cli.context import complain
from pyruntime.errors import Error
from pyruntime.state.store import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cgroup.systemd.manager import Property
    from pyruntime.cgroup.values import Write


def _manager(container: Container) -> Manager:
    """The manager that has the container's unit; by another way to it if it does not listen there any more."""
    unit = container.own["systemd"]
    try:
        return Manager(unit["address"], unit["user"])
    except Error:
        found = find(unit["user"])
        return Manager(found.address, found.user)


def end(container: Container) -> None:
    """Stop the unit, and have it forgotten if it failed. All its processes are dead by now.

    A manager that can't be reached is told of and no reason to fail: a scope without processes ends by itself.
    """
    try:
        manager = _manager(container)
        try:
            manager.stop(container.own["systemd"]["unit"])
        finally:
            manager.close()
    except Error as error:
        complain(f"{error.text}; container {container.id} is removed without it")


class Change:
    """Limits of a running container as properties of its unit, until `take_back`."""

    def __init__(self, container: Container, old: "list[Write]", new: "list[Write]") -> None:
        """Set the properties that `new` asks for; `old` are the limits so far. Raises Error, ConfigError."""
        self._container = container
        manager = _manager(container)
        try:
            version = manager.about().version
            changed = properties.of_writes(new, version)
            self._former: "list[Property]" = properties.back(properties.of_writes(old, version), changed)
            if changed:
                manager.change(container.own["systemd"]["unit"], changed)
        finally:
            manager.close()

    def take_back(self) -> None:
        """Give the properties their former values; who takes a change back has an error of their own to tell."""
        try:
            manager = _manager(self._container)
            try:
                manager.change(self._container.own["systemd"]["unit"], self._former)
            finally:
                manager.close()
        except Error as error:
            complain(error.text)
