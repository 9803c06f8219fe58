#!/usr/bin/env python3
"""Print a completion script made from the option table: scripts/lib/completions.py bash|zsh|fish

The scripts are static: nothing starts Python when a key is pressed. Ids of containers are the folders below the state
root, as `ls` shows them.
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pyruntime.cli.options import BOOL, GLOBALS, HELP, VERBS, Option, Verb

FOLDERS, FILES = ("DIR",), ("FILE", "PATH")


def flags(options: "tuple[Option, ...]") -> "list[str]":
    """The words by which shown flags may be given."""
    shown = [option for option in (*options, HELP) if not option.hidden]
    return sorted({f"--{option.name}" for option in shown} | {f"-{option.short}" for option in shown if option.short})


def takers(options: "tuple[Option, ...]", metavars: "tuple[str, ...]") -> "list[str]":
    """The words of flags whose value is such a thing."""
    taking = [option for option in options if option.kind != BOOL and (not metavars or option.metavar in metavars)]
    return [word for option in taking for word in (f"--{option.name}", f"-{option.short}") if word != "-"]


def argument(verb: Verb) -> str:
    """What a verb's first argument is: id, folder, verb or nothing known."""
    first = verb.usage.strip("[").partition("]")[0].partition(" ")[0]
    return {"ID": "id", "BUNDLE": "folder", "COMMAND": "verb"}.get(first, "")


BASH = """# Completion of pyruntime for bash. Made by scripts/lib/completions.py from the option table.

_pyruntime_ids() {
    local root=${1:-} dir
    if [[ -z $root ]]; then
        root=/run/pyruntime
        [[ $EUID -eq 0 || -z ${XDG_RUNTIME_DIR:-} ]] || root=$XDG_RUNTIME_DIR/pyruntime
    fi
    for dir in "$root"/*/; do
        [[ -d $dir ]] && dir=${dir%/} && printf '%s\\n' "${dir##*/}"
    done
}

_pyruntime() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb='' root='' index skip=''
    local verbs='@VERBS@' flags=''
    COMPREPLY=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        if [[ -n $skip ]]; then skip=; continue; fi
        case ${COMP_WORDS[index]} in
            --root) root=${COMP_WORDS[index+1]:-}; skip=1 ;;
            @GLOBAL_TAKERS@) skip=1 ;;
            -*) ;;
            *) verb=${COMP_WORDS[index]}; break ;;
        esac
    done
    case $verb in
        '')
            case $before in
                @GLOBAL_FOLDERS@) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
                @GLOBAL_TAKERS@) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
            esac
            mapfile -t COMPREPLY < <(compgen -W "$verbs @GLOBAL_FLAGS@" -- "$word")
            return ;;
@CASES@
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
        return
    fi
    case $verb in
        @ID_VERBS@) mapfile -t COMPREPLY < <(compgen -W "$(_pyruntime_ids "$root")" -- "$word") ;;
        @FOLDER_VERBS@) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        help) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word") ;;
    esac
}

complete -o filenames -F _pyruntime pyruntime
"""


def bash() -> str:
    """The script for bash 4 and newer."""
    values = {
        "VERBS": " ".join(VERBS),
        "GLOBAL_FLAGS": " ".join(flags(GLOBALS)),
        "GLOBAL_TAKERS": "|".join(word for word in takers(GLOBALS, ()) if word != "--root"),
        "GLOBAL_FOLDERS": "|".join(takers(GLOBALS, FOLDERS)),
        "CASES": "\n".join(_bash_case(verb) for verb in VERBS.values()),
        "ID_VERBS": "|".join(verb.name for verb in VERBS.values() if argument(verb) == "id"),
        "FOLDER_VERBS": "|".join(verb.name for verb in VERBS.values() if argument(verb) == "folder"),
    }
    text = BASH
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _bash_case(verb: Verb) -> str:
    lines = [f"        {verb.name})", f"            flags='{' '.join(flags(verb.options))}'"]
    values = [(takers(verb.options, FOLDERS), "compgen -d"), (takers(verb.options, FILES), "compgen -f")]
    plain = [w for w in takers(verb.options, ()) if all(w not in words for words, _ in values)]
    if takers(verb.options, ()):
        lines.append("            case $before in")
        for words, how in values:
            if words:
                reply = f'mapfile -t COMPREPLY < <({how} -- "$word"); return ;;'
                lines.append(f"                {'|'.join(words)}) {reply}")
        if plain:
            lines.append(f"                {'|'.join(plain)}) return ;;")
        lines.append("            esac")
    return "\n".join([*lines, "            ;;"])


ZSH = """#compdef pyruntime
# Completion of pyruntime for zsh. Made by scripts/lib/completions.py from the option table.

_pyruntime_ids() {
    local root=${opt_args[--root]:-/run/pyruntime}
    (( EUID == 0 )) || [[ -z $XDG_RUNTIME_DIR ]] || root=${opt_args[--root]:-$XDG_RUNTIME_DIR/pyruntime}
    compadd -- $root/*(N/:t)
}

_pyruntime() {
    local context state line curcontext=$curcontext
    typeset -A opt_args
    local -a verbs=(
@VERBS@
    )
    _arguments -C -S \\
@GLOBALS@
        '1:command:->verb' '*::argument:->rest'
    case $state in
        verb) _describe command verbs ;;
        rest)
            case $words[1] in
@CASES@
            esac ;;
    esac
}

_pyruntime "$@"
"""


def zsh() -> str:
    """The script for zsh."""
    verbs = "\n".join(f"        {shlex.quote(f'{v.name}:{v.summary}')}" for v in VERBS.values())
    cases = "\n".join(_zsh_case(verb) for verb in VERBS.values())
    globals_ = "\n".join(f"        {spec} \\" for spec in _zsh_specs(GLOBALS))
    return ZSH.replace("@VERBS@", verbs).replace("@GLOBALS@", globals_).replace("@CASES@", cases)


def _zsh_case(verb: Verb) -> str:
    actions = {"id": "'1:id:_pyruntime_ids'", "folder": "'1:bundle:_files -/'", "verb": "'1:command:->verb'"}
    specs = [*_zsh_specs(verb.options), actions.get(argument(verb), "'*:argument:_files'")]
    first = f"                {verb.name}) _arguments -S"
    return " \\\n                    ".join([first, *specs]) + " ;;"


def _zsh_specs(options: "tuple[Option, ...]") -> "list[str]":
    return [spec for option in (*options, HELP) if not option.hidden for spec in _zsh_spec(option)]


def _zsh_spec(option: Option) -> "list[str]":
    told = option.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
    action = "_files -/" if option.metavar in FOLDERS else "_files" if option.metavar in FILES else " "
    value = f":{option.metavar.lower().replace(':', ' ')}:{action}" if option.kind != BOOL else ""
    star = "*" if option.kind == "list" else ""
    words = [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]
    return [shlex.quote(f"{star}{word}[{told}]{value}") for word in words]


def fish() -> str:
    """The script for fish."""
    head = [
        "# Completion of pyruntime for fish. Made by scripts/lib/completions.py from the option table.",
        "function __pyruntime_ids",
        "    set -l root /run/pyruntime",
        "    if test (id -u) -ne 0; and set -q XDG_RUNTIME_DIR",
        "        set root $XDG_RUNTIME_DIR/pyruntime",
        "    end",
        "    for folder in $root/*/",
        "        string replace -r '.*/([^/]+)/$' '$1' -- $folder",
        "    end",
        "end",
        "complete -c pyruntime -f",
    ]
    lines = [_fish_flag(option, "__fish_use_subcommand") for option in (*GLOBALS, HELP) if not option.hidden]
    for verb in VERBS.values():
        lines.append(f"complete -c pyruntime -n __fish_use_subcommand -a {verb.name} -d {_fish(verb.summary)}")
        seen = f"'__fish_seen_subcommand_from {verb.name}'"
        lines += [_fish_flag(option, seen) for option in (*verb.options, HELP) if not option.hidden]
        more = {
            "id": "'(__pyruntime_ids)'",
            "folder": "'(__fish_complete_directories)'",
            "verb": _fish(" ".join(VERBS)),
        }
        if argument(verb):
            lines.append(f"complete -c pyruntime -n {seen} -a {more[argument(verb)]}")
    return "\n".join([*head, *dict.fromkeys(lines)]) + "\n"


def _fish_flag(option: Option, when: str) -> str:
    value = "" if option.kind == BOOL else " -r -F" if option.metavar in (*FOLDERS, *FILES) else " -x"
    short = f" -s {option.short}" if option.short else ""
    return f"complete -c pyruntime -n {when} -l {option.name}{short}{value} -d {_fish(option.help)}"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: "dict[str, Callable[[], str]]" = {"bash": bash, "zsh": zsh, "fish": fish}

if __name__ == "__main__":
    sys.stdout.write(SHELLS[sys.argv[1]]())
