#!/usr/bin/env python3
"""Print a manual page, man(7), made from the option table: scripts/lib/manual.py [VERB]"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cli_reference import NOTES

from pyruntime.cli.options import GLOBALS, GROUPS, HELP, VERBS, Option, Verb
from pyruntime.version import SPEC, VERSION


def escaped(text: str) -> str:
    """Text that troff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def paragraph(text: str) -> "list[str]":
    """A paragraph, a sentence a line."""
    return [".PP", *(escaped(part) for part in text.replace(". ", ".\n").splitlines())]


def option(entry: Option) -> "list[str]":
    """One flag."""
    names = [f"\\-{entry.short}"] if entry.short else []
    value = f"\\fR \\fI{escaped(entry.metavar)}\\fR" if entry.metavar else "\\fR"
    default = f" (default: {entry.default})" if entry.default not in (None, "0") else ""
    head = ", ".join(f"\\fB{name}" for name in [*names, f"\\-\\-{escaped(entry.name)}"])
    return [".TP", f"{head}{value}", escaped(entry.help + default)]


def options(entries: "tuple[Option, ...]") -> "list[str]":
    """All flags that help shows."""
    return [line for entry in entries if not entry.hidden for line in option(entry)]


def head(name: str, summary: str) -> "list[str]":
    """The title and the line that whatis(1) reads."""
    title = f'.TH {escaped(name.upper())} 1 "" "pyruntime {VERSION}" "User Commands"'
    return [title, ".SH NAME", f"{escaped(name)} \\- {escaped(summary)}"]


def page(verb: Verb) -> str:
    """The page of one verb."""
    usage = " ".join(word for word in ("[OPTIONS]" if verb.options else "", verb.usage) if word)
    lines = head(f"pyruntime-{verb.name}", verb.summary)
    lines += [".SH SYNOPSIS", f"\\fBpyruntime\\fR [GLOBAL OPTIONS] \\fB{verb.name}\\fR {escaped(usage)}"]
    lines += [
        ".SH DESCRIPTION",
        *paragraph(verb.about)[1:],
        *(paragraph(NOTES[verb.name]) if verb.name in NOTES else []),
    ]
    lines += [".SH OPTIONS", *options((*verb.options, HELP))]
    lines += [".SH EXAMPLE", f"pyruntime {escaped(verb.example)}", ".SH SEE ALSO", "\\fBpyruntime\\fR(1)"]
    return "\n".join(lines) + "\n"


def overview() -> str:
    """The page of the program."""
    lines = head("pyruntime", "run Linux and WebAssembly containers as the OCI runtime specification says")
    lines += [".SH SYNOPSIS", "\\fBpyruntime\\fR [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]", ".SH DESCRIPTION"]
    lines += paragraph(
        "A bundle is a folder with a root file system and a config.json. pyruntime makes a container of it and runs "
        f"its program, with the commands and flags of other OCI runtimes (runtime specification {SPEC}). A program "
        "that is a WebAssembly module runs in the container's process."
    )[1:]
    for group in (*GROUPS, ""):
        lines.append(f".SH {(group or 'Help').upper()}")
        for verb in (verb for verb in VERBS.values() if verb.group == group):
            lines += [".TP", f"\\fBpyruntime\\-{verb.name}\\fR(1)", escaped(verb.summary)]
    lines += [".SH GLOBAL OPTIONS", *options(GLOBALS)]
    statuses = "0 on success; the process's own for run and exec in the foreground; 255 when exec could not run its "
    lines += [".SH EXIT STATUS", escaped(f"{statuses}command; 3 for an unknown command; 1 for any other failure.")]
    lines += [".SH FILES", ".TP", "/run/pyruntime", "State of containers; another folder with \\-\\-root."]
    return "\n".join(lines) + "\n"


def pages() -> "dict[str, str]":
    """File name → content, for every page."""
    return {"pyruntime.1": overview(), **{f"pyruntime-{name}.1": page(verb) for name, verb in VERBS.items()}}


if __name__ == "__main__":
    sys.stdout.write(page(VERBS[sys.argv[1]]) if sys.argv[1:] else overview())
