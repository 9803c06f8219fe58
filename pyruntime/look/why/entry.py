"""The form of one entry of the table."""


class Why:
    """What there is to know about a kind of step.

    `why`    what it is for, and what would be different without it
    `calls`  the system calls it makes, in order
    `fails`  (errno's name or another sign, what it means here)
    `see`    how to see its effect from outside; PID stands for init's pid on the host
    `man`    manual pages, "2 pivot_root"
    `needs`  the classes of steps that must have gone before
    """

    __slots__ = ("calls", "fails", "man", "needs", "see", "why")

    def __init__(
        self,
        why: str,
        calls: str,
        fails: "tuple[tuple[str, str], ...]",
        see: str,
        man: str,
        needs: "tuple[str, ...]" = (),
    ) -> None:
        self.why = why
        self.calls = calls
        self.fails = fails
        self.see = see
        self.man = man
        self.needs = needs
