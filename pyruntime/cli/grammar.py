"""From argv to an invocation, by the rules that callers of container runtimes rely on.

    program [global flags] verb [flags] [arguments]

* `--flag value`, `--flag=value`, the same with one dash, and one-letter short forms; never several in one word.
* A flag that takes a value takes the next word whatever it looks like, so `--memory -1` works.
* Booleans take a value only after `=`, in the spellings of Go's strconv.ParseBool.
* `--` ends the flags. Global flags end at the verb; `exec`, `kill` and `ps` end theirs at the first argument, the
  other verbs take flags after it too.

Words may hold surrogate escapes (bytes that are not UTF-8) and keep them.
"""

from pyruntime.cli.options import BOOL, DURATION, GLOBALS, HELP, INT, LIST, SIZE, VERBS
from pyruntime.errors import Error, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyruntime.cli.options import Option, Verb

    Value = bool | int | float | str | list[str] | None

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


DIGITS = 64  # more are no number to us: int() itself raises ValueError beyond 4300


class CommandLineError(UsageError):
    """The command line is wrong; `verb` names the one whose help may be printed, None stands for the program's.

    `globals` holds the global flags as far as they were understood: `--log` counts for this error too.
    """

    def __init__(self, text: str, verb: "Verb | None", code: int = 1) -> None:
        super().__init__(text, code)
        self.verb = verb.name if verb else None
        self.globals: "Options | None" = None


class Options:
    """The values of one table's flags. Every accessor raises KeyError for a name that the table does not have."""

    __slots__ = ("_given", "_values")

    def __init__(self, table: "tuple[Option, ...]") -> None:
        self._values: "dict[str, Value]" = {option.name: _default(option) for option in table}
        self._given: "set[str]" = set()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def set(self, option: "Option", value: "Value") -> None:
        """Take a value from the command line: a LIST collects them, otherwise the last one counts."""
        self._given.add(option.name)
        kept = self._values[option.name]
        if isinstance(kept, list) and isinstance(value, str):
            kept.append(value)
        else:
            self._values[option.name] = value

    def text(self, name: str) -> "str | None":
        """A STRING; None if it was not given and has no default."""
        value = self._values[name]
        return value if isinstance(value, str) else None

    def flag(self, name: str) -> bool:
        """A BOOL; False if it was not given."""
        return self._values[name] is True

    def number(self, name: str) -> "int | None":
        """An INT, or a SIZE in bytes; None if it was not given and has no default."""
        value = self._values[name]
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def seconds(self, name: str) -> "float | None":
        """A DURATION in seconds; None if it was not given and has no default."""
        value = self._values[name]
        return value if isinstance(value, float) else None

    def many(self, name: str) -> "list[str]":
        """A LIST, in the order given."""
        value = self._values[name]
        return list(value) if isinstance(value, list) else []

    def given(self, name: str) -> bool:
        """Whether the command line holds this flag, with whatever value."""
        return name in self._given


class Invocation:
    """A command line, understood. `verb` is None if there was none, or a global `--help` or `--version` made it moot.

    With `help` the arguments were not counted. `prog` is the name we were called by, without its folder.
    """

    __slots__ = ("arguments", "globals", "help", "options", "prog", "verb")

    def __init__(
        self, prog: str, globals: Options, verb: "str | None", options: Options, arguments: "list[str]", help: bool
    ) -> None:
        self.prog = prog.rpartition("/")[2]
        self.globals = globals
        self.verb = verb
        self.options = options
        self.arguments = arguments
        self.help = help


def parse(argv: "list[str]") -> Invocation:
    """Understand `argv`, whose first word is the program's name as in sys.argv.

    Raises CommandLineError, with exit status 3 for an unknown verb and 1 otherwise.
    """
    globals_ = Options(GLOBALS)
    try:
        return _parse(argv, globals_)
    except CommandLineError as error:
        error.globals = globals_
        raise


def _parse(argv: "list[str]", globals_: Options) -> Invocation:
    words = _read(iter(argv[1:]), globals_, GLOBALS, None)
    if not words or globals_.flag("help") or globals_.flag("version"):
        return Invocation(argv[0], globals_, None, Options(()), [], globals_.flag("help"))
    verb = VERBS.get(words[0])
    if verb is None:
        raise _unknown_verb(words)
    table = (*verb.options, HELP)
    options = Options(table)
    arguments = _read(iter(words[1:]), options, table, verb)
    wants_help = options.flag("help")
    if not wants_help:
        _count(argv[0], verb, arguments)
    return Invocation(argv[0], globals_, verb.name, options, arguments, wants_help)


def _read(words: "Iterator[str]", into: Options, table: "tuple[Option, ...]", verb: "Verb | None") -> "list[str]":
    """Move the flags among `words` into `into`; return the rest. `--help` ends it."""
    known = {name: option for option in table for name in (option.name, option.short) if name}
    stops = verb is None or verb.stops
    arguments: "list[str]" = []
    for word in words:
        if word == "--":
            break
        if len(word) > 1 and word[0] == "-":
            option = _flag(word, words, into, known, verb)
            if option is HELP and into.flag("help"):
                return arguments
            continue
        arguments.append(word)
        if stops:
            break
    arguments.extend(words)
    return arguments


def _flag(
    word: str, words: "Iterator[str]", into: Options, known: "dict[str, Option]", verb: "Verb | None"
) -> "Option":
    dashed, equals, text = word.partition("=")
    option = known.get(dashed[2:] if dashed.startswith("--") else dashed[1:])
    if option is None:
        raise _unknown_flag(dashed, known, verb)
    named = f"--{option.name}"
    if not equals and option.kind == BOOL:
        text = "true"
    elif not equals:
        following = next(words, None)
        if following is None:
            raise CommandLineError(f"flag needs an argument: {named}", verb)
        text = following
    try:
        into.set(option, _convert(option.kind, text))
    except Error as error:
        raise CommandLineError(f'invalid value "{text}" for {named}: {error}', verb) from None
    return option


def _convert(kind: str, text: str) -> "Value":
    if kind == BOOL:
        if text not in _BOOLEANS:
            raise UsageError("expected true or false")
        return _BOOLEANS[text]
    if kind == INT:
        return _whole(text)
    if kind in (SIZE, DURATION):
        from pyruntime.cli import durations

        return durations.size(text) if kind == SIZE else durations.duration(text)
    return text


def _whole(text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    whole = digits.isascii() and digits.isdigit() and len(digits) < DIGITS
    if not whole or not -(2**63) <= int(text) < 2**63:
        raise UsageError("expected a whole number of at most 64 bits")
    return int(text)


def _default(option: "Option") -> "Value":
    if option.kind == LIST:
        return []
    return None if option.default is None else _convert(option.kind, option.default)


def _count(program: str, verb: "Verb", arguments: "list[str]") -> None:
    found, least, most = len(arguments), verb.least, verb.most
    if least <= found and (most is None or found <= most):
        return
    if least == most:
        wanted = f"exactly {least}"
    else:
        wanted = f"a minimum of {least}" if found < least else f"a maximum of {most}"
    name = program.rpartition("/")[2]
    raise CommandLineError(f'{name}: "{verb.name}" requires {wanted} argument(s)', verb)


def _unknown_verb(words: "list[str]") -> CommandLineError:
    hint = _near(words[0], {name: name for name in VERBS})
    asked = f"No help topic for {words[0]!a}: " if words[1:2] in (["-h"], ["--help"]) else ""
    return CommandLineError(f'{asked}unknown command "{words[0]}"{hint}', None, 3)


def _unknown_flag(dashed: str, known: "dict[str, Option]", verb: "Verb | None") -> CommandLineError:
    name = dashed.lstrip("-")
    if verb and any(name == option.name for option in GLOBALS):
        hint = f"; it is a global flag: write it before {verb.name}"
    elif not dashed.startswith("--") and len(name) > 1 and all(letter in known for letter in name):
        hint = "; write short flags apart: " + " ".join(f"-{letter}" for letter in name)
    else:
        hint = _near(name, {option.name: f"--{option.name}" for option in known.values() if not option.hidden})
    return CommandLineError(f"flag provided but not defined: {dashed}{hint}", verb)


def _near(word: str, choices: "dict[str, str]") -> str:
    import difflib

    near = difflib.get_close_matches(word, choices, 1)
    return f"; did you mean {choices[near[0]]}?" if near else ""
