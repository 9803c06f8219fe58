"""Which rule counts when several of one system call, with different actions, hold for the same arguments.

Profiles do not say; what engines' profiles have been tried with is libseccomp, which keeps rules as a tree and not in
the order of the profile. The order here is that tree's: tests of higher arguments first, upper half before lower;
equality, then less, then greater; the narrower range first. A rule whose tests begin another rule's is asked first.
"""

from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.seccomp.arguments import Rule, Test

    Node = tuple[tuple[int, int, int], tuple[int, str, int, int]]  # its place among others; what makes it the same

_FAMILY = {"EQ": 3, "NE": 3, "MASKED_EQ": 3, "LE": 2, "LT": 2, "GE": 1, "GT": 1}
_JUMP = {"EQ": "EQ", "NE": "EQ", "MASKED_EQ": "MASKED_EQ", "LE": "GT", "GT": "GT", "LT": "GE", "GE": "GE"}


def ordered(name: str, rules: "list[Rule]", wide: bool) -> "list[Rule]":
    """The rules of one call in the order of asking.

    Raises ConfigError where a rule makes an earlier one with another action pointless.
    """
    return _sorted([(_nodes(rule[0], wide), rule) for rule in _telling(name, rules)])


def _telling(name: str, rules: "list[Rule]") -> "list[Rule]":
    """The rules without those that have all the tests of an earlier one, which is always asked before them."""
    kept: "list[Rule]" = []
    for tests, value, index in rules:
        if any(set(others) < set(tests) for others, _, _ in kept):
            continue
        for others, other, earlier in kept:
            if value != other and others[: len(tests)] == tests:
                problem = f'"{name}" is decided differently by syscalls[{earlier}], whose conditions this one covers'
                raise ConfigError(f"linux.seccomp.syscalls[{index}]", f"{problem}; keep one of them")
        kept.append((tests, value, index))
    return kept


def _nodes(tests: "tuple[Test, ...]", wide: bool) -> "list[Node]":
    return [node for test in tests for node in (_halves(test) if wide else [_node(test, 2 * test[0], _JUMP[test[1]])])]


def _halves(test: "Test") -> "list[Node]":
    argument, operator, mask, value = test
    upper = (argument, operator, mask >> 32, value >> 32)
    lower = (argument, operator, mask & 0xFFFFFFFF, value & 0xFFFFFFFF)
    jump = _JUMP[operator]
    return [_node(upper, 2 * argument + 1, "GT" if jump == "GE" else jump), _node(lower, 2 * argument, jump)]


def _node(test: "Test", half: int, jump: str) -> "Node":
    _, operator, mask, value = test
    family = _FAMILY[operator]
    return (-half, -family, value if family == 2 else -value), (half, jump, mask, value)


def _sorted(entries: "list[tuple[list[Node], Rule]]") -> "list[Rule]":
    """Entries by their first nodes, those that share one together, and among these by the next."""
    finished = [rule for nodes, rule in entries if not nodes]
    groups: "dict[tuple[int, str, int, int], list[tuple[list[Node], Rule]]]" = {}
    places: "dict[tuple[int, str, int, int], tuple[int, int, int]]" = {}
    for nodes, rule in entries:
        if nodes:
            place, node = nodes[0]
            places.setdefault(node, place)
            groups.setdefault(node, []).append((nodes[1:], rule))
    return finished + [rule for node in sorted(groups, key=places.__getitem__) for rule in _sorted(groups[node])]
