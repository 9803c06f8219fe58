"""Telling an error to a person at a terminal: with the line of config.json behind it. For failures only."""

import posix as os

from pyruntime.cli.context import Context
from pyruntime.cli.grammar import Invocation
from pyruntime.report import longform

_OF_A_BUNDLE = ("create", "run", "step", "explain")


def told(asked: "Invocation | None", text: str, context: "Context | None" = None) -> str:
    """The long form of an error's text, as lines; the context is that of the verb, if it came to that."""
    parts = longform.Parts(text)
    place = advice = ""
    if asked is not None and asked.verb in _OF_A_BUNDLE:
        path = _path(parts)
        file = context.config_file if context is not None else ""
        bundle = _bundle(asked, context)
        place = f"{_file(asked, bundle)}{_line(file, path)}  {path}" if path else ""
        number = _number(context, parts) if context is not None and parts.walked else 0
        advice = f"pyruntime explain {bundle} {number}" if number else ""
    return longform.text(parts, place, advice, _width())


def _width() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80


def _bundle(asked: Invocation, context: "Context | None") -> str:
    """The bundle as the command line has it."""
    named = asked.options.text("bundle") if "bundle" in asked.options else ""
    if not named and context is not None:
        named = context.folder
    if not named and asked.verb in ("step", "explain") and asked.arguments:
        named = asked.arguments[0]
    return named or "."


def _file(asked: Invocation, bundle: str) -> str:
    named = asked.options.text("config") if "config" in asked.options else ""
    bundle = bundle.rstrip("/")
    return named or ("config.json" if bundle == "." else f"{bundle}/config.json")


def _path(parts: longform.Parts) -> str:
    """The config path that the error begins with, or the one that asked for its step; "" if neither is one."""
    from pyruntime.config.spec import Config

    for said in (parts.error, parts.because):
        word = longform.first_word(said)
        if word.replace("[", ".").partition(".")[0] in Config._fields:
            return word
    return ""


def _line(file: str, path: str) -> str:
    """`:LINE`, or "" where the file can't be read again; that is no second error."""
    try:
        from pyruntime.config.jsontext import load, parse
        from pyruntime.look.lint.places import line_of, lines

        data = load(file, file)
        parse(data, file)
        line = line_of(path, lines(data.decode()))
    except Exception:
        return ""
    return f":{line}" if line else ""


def _number(context: Context, parts: longform.Parts) -> int:
    """The number of the failed step in the plan that `explain` shows, which is that of `create`; 0 if it has none."""
    folder, _, name = context.config_file.rpartition("/")
    if name != "config.json":
        return 0
    try:
        from pyruntime.look.explain import explain

        same = [(parts.walked, parts.because) == (type(s).__name__, s.because) for s in explain(context, folder).steps]
    except Exception:
        return 0
    return same.index(True) + 1 if True in same else 0
