"""What a profile decides about the numbers of one architecture."""

from pyruntime.seccomp import arguments
from pyruntime.seccomp.architectures import CARRIED
from pyruntime.seccomp.bpf import RET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.seccomp import SyscallArg
    from pyruntime.seccomp.architectures import Architecture
    from pyruntime.seccomp.arguments import Rule, Test
    from pyruntime.seccomp.bpf import Pack


class Entry:
    """One entry of `syscalls`: what it returns, and the lists of conditions of which one suffices."""

    __slots__ = ("alternatives", "carried", "index", "names", "value")

    def __init__(self, index: int, names: "list[str]", value: int, args: "list[SyscallArg]") -> None:
        self.index = index
        self.names = names
        self.value = value
        self.alternatives = arguments.alternatives(args)
        self.carried = [name for name in names if name in CARRIED]


class Section:
    """The decisions of one architecture: unconditional ones and rules by number, and the last number named.

    An unconditional decision wins over rules, and the first one over later ones.
    """

    def __init__(self, architecture: "Architecture", entries: "list[Entry]", default: int) -> None:
        self.architecture = architecture
        self.plain: "dict[int, int]" = {}
        self.rules: "dict[int, list[Rule]]" = {}
        self.last = 0
        for entry in entries:
            numbers = self._numbers(entry)
            if entry.value != default:  # what happens anyway takes no part
                self._add(entry, numbers)

    def _numbers(self, entry: Entry) -> "set[int]":
        """The numbers of an entry's names. What a multiplexer carries is not counted in `last`; nor does runc."""
        numbers = self.architecture.numbers
        found = {number for number in map(numbers.get, entry.names) if number is not None}
        counted = found
        if self.architecture.carries and entry.carried:
            counted = found.difference([numbers.get(name) for name in entry.carried])
        self.last = max(self.last, max(counted, default=0))
        return found

    def _add(self, entry: Entry, numbers: "set[int]") -> None:
        alternatives = [arguments.tests(each, self.architecture.wide) for each in entry.alternatives]
        if all(alternatives):
            for number in numbers:
                self._rule(number, alternatives, entry)
        else:
            self.plain = dict.fromkeys(numbers, entry.value) | self.plain
        if self.architecture.carries:
            for name in entry.carried:
                self._carried(name, alternatives, entry)

    def _carried(self, name: str, alternatives: "list[tuple[Test, ...]]", entry: Entry) -> None:
        """The call inside socketcall or ipc, whose first argument says which; the rest keep their places."""
        carrier, code = CARRIED[name]
        first = (0, "EQ", arguments.width(self.architecture.wide), code)
        inside = [(first, *(test for test in tests if test[0])) for tests in alternatives]
        self._rule(self.architecture.numbers[carrier], inside, entry)

    def _rule(self, number: int, alternatives: "list[tuple[Test, ...]]", entry: Entry) -> None:
        if number not in self.plain:
            rules = self.rules.setdefault(number, [])
            rules += [(tests, entry.value, entry.index) for tests in alternatives]

    def leaves(self, pack: "Pack", default: int) -> "dict[int, bytes]":
        """The code that decides each number of which the profile says anything.

        Raises ConfigError where rules contradict each other.
        """
        codes = {value: pack(RET, 0, 0, value) for value in {*self.plain.values()}}
        leaves = {number: self._chain(pack, number, default) for number in self.rules}
        return leaves | {number: codes[value] for number, value in self.plain.items()}

    def _chain(self, pack: "Pack", number: int, default: int) -> bytes:
        rules = self.rules[number]
        if len({value for _, value, _ in rules}) > 1:
            from pyruntime.seccomp import precedence

            rules = precedence.ordered(self._name(number), rules, self.architecture.wide)
        return arguments.chain(pack, self.architecture, rules, default)

    def _name(self, number: int) -> str:
        return next(name for name, its in self.architecture.numbers.items() if its == number)
