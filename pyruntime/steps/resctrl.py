"""Steps of `linux.intelRdt`: the group a container's processes are in, and putting them there."""

from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import resctrl
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.record import container_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class MakeResctrlGroup(Step):
    """Make the group, or check the one that is there, and write its shares.

    What is made is written down first: `delete` then knows what is the container's own.
    """

    lane = HOST

    def __init__(
        self, because: str, root: str, group: str, lines: "list[str]", schemata: "list[str]", monitor: str, named: bool
    ) -> None:
        """`lines`: l3CacheSchema and memBwSchema; `monitor`: the monitoring group, "" for none; `named`: by closID."""
        super().__init__(because)
        self.root = root
        self.group = group
        self.lines = lines
        self.schemata = schemata
        self.monitor = monitor
        self.named = named

    def describe(self) -> str:
        shares = ", ".join([*self.lines, *self.schemata])
        watched = f", monitored in {self.monitor}" if self.monitor else ""
        return f"resctrl group {self.group}" + (f": {shares}" if shares else "") + watched

    def run(self, walker: "Walker") -> None:
        made: "list[str]" = []
        walker.objects["made_resctrl"] = made
        if not resctrl.there(self.group):
            self._make_group(walker, made)
        elif self.named:
            self._compare()
        for text in [*self.lines, *(["\n".join(self.schemata)] if self.schemata else [])]:
            resctrl.set_schemata(self.root, self.group, text)
        if self.monitor:
            self._note(walker, [self.monitor, *self._own(made)])
            if resctrl.make(self.root, self.monitor):
                made.insert(0, self.monitor)
        self._note(walker, self._own(made))

    def _make_group(self, walker: "Walker", made: "list[str]") -> None:
        if self.named and not self.lines and not self.schemata:
            raise Error(
                f"{self.because}.closID: no resctrl group {self.group}; make it, or give a schema to make it with"
            )
        self._note(walker, self._own([self.group]))
        if resctrl.make(self.root, self.group):
            made.append(self.group)

    def _own(self, made: "list[str]") -> "list[str]":
        """What goes with the container: a group with a name of its own stays, as the spec wants."""
        return [path for path in made if path != self.group or not self.named]

    def _note(self, walker: "Walker", remove: "list[str]") -> None:
        container = container_of(walker)
        container.data["intel_rdt_path"] = self.group
        container.own["resctrl"] = {"root": self.root, "monitor": self.monitor, "remove": remove}
        container.save()

    def _compare(self) -> None:
        for line in self.lines:
            try:
                other = resctrl.differs(self.group, line)
            except OSError as error:
                raise Error(f"{self.because}.closID: {explain_oserror(error)}") from None
            except ValueError:
                raise Error(f"{self.because}: expected lines such as L3:0=ff;1=ff, got {line}") from None
            if other:
                raise Error(
                    f"{self.because}: the resctrl group {self.group} is there with other shares than {line}; "
                    "leave the schema out to join it as it is"
                )

    def undo(self, walker: "Walker") -> None:
        made = walker.objects.pop("made_resctrl", None)
        for path in made if isinstance(made, list) else []:
            resctrl.remove(path)


class EnterResctrlGroup(Step):
    """Put the process into the group, and into the container's monitoring group if it has one."""

    lane = HOST

    def __init__(self, because: str, root: str, groups: "list[str]") -> None:
        super().__init__(because)
        self.root = root
        self.groups = groups

    def describe(self) -> str:
        return f"put init into the resctrl group {self.groups[-1]}"

    def run(self, walker: "Walker") -> None:
        for group in self.groups:
            resctrl.add_task(self.root, group, walker.values["init_pid"])
