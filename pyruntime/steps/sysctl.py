"""The step that sets sysctls."""

from pyruntime.errors import Error, reason
from pyruntime.kernel.procmount import read_in, write_in
from pyruntime.steps.base import Step

_ENOENT = 2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class SetSysctls(Step):
    """Kernel settings of the container's own namespaces, through a procfs that nothing can cover."""

    def __init__(self, because: str, settings: "dict[str, str]") -> None:
        super().__init__(because)
        self.settings = settings

    def describe(self) -> str:
        return "sysctl " + ", ".join(f"{name}={value}" for name, value in self.settings.items())

    def run(self, walker: "Walker") -> None:
        for name, value in self.settings.items():
            try:
                write_in(walker.fds["proc"], f"sys/{sysctl_path(name)}", value)
                found = None if name.startswith("net") else read_in(walker.fds["proc"], f"sys/{sysctl_path(name)}")
            except OSError as error:
                # "No such file" would read as a missing program to those who sort errors.
                why = "this kernel has no such setting" if error.errno == _ENOENT else reason(error)
                raise Error(f'{self.because}["{name}"] = "{value}": {why}') from None
            if found is not None and not same_setting(value, found):
                made = " ".join(found.split())
                raise Error(f'{self.because}["{name}"] = "{value}": the kernel has made "{made}" of it')


def same_setting(asked: str, found: str) -> bool:
    """Whether a sysctl's text is what was written: the kernel parts numbers by tabs and shows them in decimal.

    Not for net.*: there the kernel rounds (times to its ticks) and rewrites (lists of ports) what it takes.
    """
    words, kernel = asked.split(), found.split()
    return len(words) == len(kernel) and all(_number(a) == _number(b) for a, b in zip(words, kernel, strict=True))


def _number(word: str) -> "int | str":
    try:
        return int(word, 0)
    except ValueError:
        return int(word, 8) if word.isascii() and word.isdigit() and not set(word) & {"8", "9"} else word


def sysctl_path(name: str) -> str:
    """The file of a sysctl: the first separator is the one that parts the name, the other one is a letter of it."""
    for letter in name:
        if letter == ".":
            return name.replace("/", "\0").replace(".", "/").replace("\0", ".")
        if letter == "/":
            return name
    return name
