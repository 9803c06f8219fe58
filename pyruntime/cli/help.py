"""Help texts, made from the option table; imported only when someone asks for help."""

import textwrap

from pyruntime.cli.options import GLOBALS, GROUPS, HELP, VERBS
from pyruntime.version import SPEC, VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cli.options import Option, Verb

WIDTH = 80
_INDENT = "   "


def app_help(prog: str) -> str:
    """The help of the whole program, at most 80 columns wide, with a newline at the end."""
    name = prog if prog == "runc" else f"{prog}, a drop-in for runc"
    parts = [
        _section("NAME", [f"{name} - Open Container Initiative runtime"]),
        _section("USAGE", [f"{prog} [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]"]),
        _section("VERSION", [f"pyruntime {VERSION}, runtime-spec {SPEC}"]),
        _commands(),
        _section("GLOBAL OPTIONS", _options(GLOBALS)),
        f"{prog} help COMMAND tells more about a command.\n",
    ]
    return "\n".join(parts)


def verb_help(prog: str, verb: str) -> str:
    """The help of one verb. Raises KeyError if there is no such verb."""
    entry = VERBS[verb]
    parts = [
        _section("NAME", [f"{prog} {entry.name} - {entry.summary}"]),
        _section("USAGE", [_usage(prog, entry)]),
        _section("DESCRIPTION", _wrapped(entry.about, "")),
        _section("OPTIONS", _options((*entry.options, HELP))),
        _section("EXAMPLE", [f"{prog} {entry.example}"]),
    ]
    return "\n".join(parts)


def _usage(prog: str, verb: "Verb") -> str:
    words = [prog, verb.name, "[OPTIONS]" if verb.options else "", verb.usage]
    return " ".join(word for word in words if word)


def _section(title: str, lines: "list[str]") -> str:
    return "\n".join([f"{title}:", *(f"{_INDENT}{line}" for line in lines)]) + "\n"


def _commands() -> str:
    width = max(map(len, VERBS)) + 2
    lines = ["COMMANDS:"]
    for group in GROUPS:
        lines.append(f"{_INDENT}{group}")
        members = [verb for verb in VERBS.values() if verb.group == group]
        lines += [f"{_INDENT}  {verb.name:{width}}{verb.summary}" for verb in members]
    return "\n".join(lines) + "\n"


def _options(table: "tuple[Option, ...]") -> "list[str]":
    rows = [(_names(option), _meaning(option)) for option in table if not option.hidden]
    width = max(len(names) for names, _ in rows) + 2
    lines = []
    for names, meaning in rows:
        first, *rest = _wrapped(meaning, " " * width)
        lines += [f"{names:{width}}{first.lstrip()}", *rest]
    return lines


def _names(option: "Option") -> str:
    short = f"-{option.short}, " if option.short else "    "
    return f"{short}--{option.name} {option.metavar}".rstrip()


def _meaning(option: "Option") -> str:
    shown = option.default if option.default not in (None, "0") else None
    return f"{option.help} (default: {shown})" if shown else option.help


def _wrapped(text: str, indent: str) -> "list[str]":
    width = WIDTH - len(_INDENT)
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
