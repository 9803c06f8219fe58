"""Print docs/reference/cli.md, made from the option table: scripts/lib/cli_reference.py > docs/reference/cli.md"""

import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pyruntime.cli.options import GLOBALS, GROUPS, HELP, VERBS, Option, Verb

HEAD = """# Command line

<!-- Made by scripts/lib/cli_reference.py from pyruntime/cli/options.py; edit those. -->

    pyruntime [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]

* Global options stand before the command, the command's own after it. `exec`, `kill` and `ps` stop reading flags at
  their first argument, the other commands take flags after it too. `--` ends the flags.
* `--flag value`, `--flag=value` and the same with one dash are equal. Short flags are written apart: `-d -b DIR`.
* A flag without a value is on by itself, or takes `=true` or `=false`.
* An ID is made of letters, digits and `_ + - .`, at most 255 of them, and is not `.` or `..`.
* Sizes are bytes, or end in `k`, `m`, `g` or `t` (powers of 1024); -1 is no limit. Times are written as in `1m30s`.

## Exit status

| status | of |
|---|---|
| 0 | a command that did what it was asked |
| that of the process, or 128 plus the number of the signal that ended it | `run` and `exec` in the foreground |
| 255 | `exec` that could not run its command; `run` in the foreground whose program was found and can't be executed |
| 3 | an unknown command |
| 130 | an interrupted command |
| 1 | any other failure; one line on stderr says what and why |

## Log and errors

An error is one line. Without `--log` it goes to stderr, as text (`time="…" level=error msg="…"`) or, with
`--log-format json`, as an object with `level`, `msg` and `time`. With `--log FILE` the line is appended to the file,
and stderr gets the bare message. Warnings are written only once the command has succeeded, so a failed one leaves
exactly one line. [errors.md](errors.md) lists the messages that callers rely on.

## State root

`/run/pyruntime`; for other users than root, `$XDG_RUNTIME_DIR/pyruntime` if that variable is set. Every command of a
container's life needs the same `--root`. [state-file.md](state-file.md) says what lies there.
"""

NOTES = {
    "create": "Nothing is printed on success. stdin, stdout and stderr of the command become the container's, and "
    "the process's parent is the caller or the nearest subreaper above. With `process.terminal` true, "
    "`--console-socket` is needed. With NOTIFY_SOCKET in the environment the container gets a socket of "
    "its own for sd_notify(3).",
    "start": "Runs the `poststart` hooks; if one fails, the container's process is killed. Where `create` saw "
    "NOTIFY_SOCKET, `start` waits until the container says READY=1.",
    "run": "In the foreground signals are passed on, and the command's terminal is connected to the container's "
    "if `process.terminal` is true. `--detach` leaves the container to be deleted by hand.",
    "state": "Keys: `ociVersion`, `id`, `pid` (0 when stopped), `status`, `bundle`, `rootfs`, `created` (RFC "
    "3339), `annotations` if there are any, `owner`.",
    "kill": "The signal goes to the container's first process. KILL reaches all of its cgroup if the container "
    "has no pid namespace of its own.",
    "delete": "Of a container that was created and never started as well as of a stopped one. `--force` also clears "
    "what a killed `create` left behind.",
    "exec": "The process is described by the flags and `process` of config.json, or by `--process FILE` alone. "
    "Users and groups are numbers. Namespaces, cgroup, session keyring, capabilities and resource limits "
    "are the container's.",
    "list": "Columns: ID, PID, STATUS, BUNDLE, CREATED, OWNER. A container that can't be read is named on stderr "
    "and left out. A default root that is not there is an empty list; one named by `--root` is an error.",
    "ps": "`--format json` prints the host's pids of all processes in the container's cgroup, as one list. The "
    "table needs the host's ps, and its PID column.",
    "events": "Lines have `type` (`stats` or `oom`), `id`, and for `stats` the `data`. Controllers that the "
    "container's cgroup does not have are reported as zeros.",
    "update": "Works on created, running and paused containers. The new limits are kept in the state file. Device "
    "rules can't be changed, resctrl schemata are refused.",
    "spec": "The file that is written asks for a shell with a terminal in `rootfs`, which has to be there before "
    "`run`. With `--wasm` it asks for FILE without a terminal, without capabilities, with an empty environment and "
    "network, and with a scratch `/tmp`; the bundle's directory and `rootfs` are made where they are missing, and "
    "nothing is left of them after an error.",
    "features": "Also names the Wasm engines found, as annotations `pyruntime.wasm.NAME`.",
    "explain": "BUNDLE is the current folder if not given; a lone number is a step unless a folder has that name. "
    "What `create` would refuse on this host, or for this user, is shown as a warning (`!`) and the plan "
    "goes on; a wrong config.json is an error.",
}


def cell(text: str) -> str:
    """Text as it may stand in a cell of a table."""
    return text.replace("|", "\\|")


def row(option: Option) -> str:
    """One flag, one row of the table."""
    names = f"`-{option.short}`, " if option.short else ""
    value = f" {option.metavar}" if option.metavar else ""
    default = f"; default: {option.default}" if option.default not in (None, "0") else ""
    hidden = " (not shown by --help)" if option.hidden else ""
    return f"| {names}`--{option.name}{cell(value)}` | {cell(option.help)}{default}{hidden} |"


def table(options: "tuple[Option, ...]") -> "list[str]":
    """A table of flags."""
    return ["| flag | meaning |", "|---|---|", *map(row, options)]


def section(verb: Verb) -> "list[str]":
    """All about one command."""
    usage = " ".join(word for word in ("pyruntime", verb.name, "[OPTIONS]" if verb.options else "", verb.usage) if word)
    lines = [
        f"### {verb.name}",
        "",
        f"{verb.summary[0].upper()}{verb.summary[1:]}.",
        "",
        f"    {usage}",
        "",
        *textwrap.wrap(verb.about, 120, break_on_hyphens=False),
    ]
    if verb.name in NOTES:
        lines += ["", *textwrap.wrap(NOTES[verb.name], 120, break_on_hyphens=False)]
    if verb.options:
        lines += ["", *table(verb.options)]
    return [*lines, "", f"Example: `pyruntime {verb.example}`", ""]


def document() -> str:
    """The whole page."""
    lines = [HEAD, "## Global options", "", *table((*(each for each in GLOBALS if each is not HELP), HELP)), ""]
    for group in (*GROUPS, ""):
        lines += [f"## {group or 'Help'}", ""]
        lines += [line for verb in VERBS.values() if verb.group == group for line in section(verb)]
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
