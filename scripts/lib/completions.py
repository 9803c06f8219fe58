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
from pyruntime.look.doctor.needs import PURPOSES
from pyruntime.look.setup.places import ENGINES
from pyruntime.look.step.whatif import CHANGES

FOLDERS, FILES = ("DIR",), ("FILE", "PATH")
VALUES = {  # flags that take one of a few words, by verb
    ("doctor", "for"): sorted(filter(None, PURPOSES)),
    ("step", "what-if"): [*CHANGES],
    ("list", "format"): ["table", "json"],
    ("ps", "format"): ["table", "json"],
    ("", "log-format"): ["text", "json"],
    ("", "log-level"): ["debug", "info", "warning", "error"],
    ("", "cgroup-manager"): ["cgroupfs", "systemd", "disabled"],
    ("", "rootless"): ["true", "false", "auto"],
}
ARGUMENTS = {"setup": [*ENGINES, "k8s"], "wasm": ["engines", "cache"]}  # verbs whose first argument is one


def flags(options: "tuple[Option, ...]") -> "list[str]":
    """The words by which shown flags may be given."""
    shown = [option for option in (*options, HELP) if not option.hidden]
    return sorted({f"--{option.name}" for option in shown} | {f"-{option.short}" for option in shown if option.short})


def takers(options: "tuple[Option, ...]", metavars: "tuple[str, ...]") -> "list[str]":
    """The words of flags whose value is such a thing."""
    taking = [option for option in options if option.kind != BOOL and (not metavars or option.metavar in metavars)]
    return [word for option in taking for word in (f"--{option.name}", f"-{option.short}") if word != "-"]


def values(verb: str, option: Option) -> "list[str]":
    """The words that a flag takes, none if it may be anything."""
    return VALUES.get((verb, option.name), [])


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
                @GLOBAL_VALUES@
                @GLOBAL_FOLDERS@) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
                @GLOBAL_OTHERS@) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
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
@ARGUMENTS@
    esac
}

complete -o filenames -F _pyruntime pyruntime
"""


def bash() -> str:
    """The script for bash 4 and newer."""
    parts = {
        "VERBS": " ".join(VERBS),
        "GLOBAL_FLAGS": " ".join(flags(GLOBALS)),
        "GLOBAL_TAKERS": "|".join(word for word in takers(GLOBALS, ()) if word != "--root"),
        "GLOBAL_OTHERS": "|".join(word for word in takers(_free("", GLOBALS), ()) if word != "--root"),
        "GLOBAL_FOLDERS": "|".join(takers(GLOBALS, FOLDERS)),
        "GLOBAL_VALUES": "\n".join(_bash_values("", GLOBALS)).strip(),
        "ARGUMENTS": "\n".join(_bash_words(f"        {name}", words, "") for name, words in ARGUMENTS.items()),
        "CASES": "\n".join(_bash_case(verb) for verb in VERBS.values()),
        "ID_VERBS": "|".join(verb.name for verb in VERBS.values() if argument(verb) == "id"),
        "FOLDER_VERBS": "|".join(verb.name for verb in VERBS.values() if argument(verb) == "folder"),
    }
    text = BASH
    for name, value in parts.items():
        text = text.replace(f"@{name}@", value)
    return text


def _bash_words(pattern: str, words: "list[str]", then: str = "return ") -> str:
    return f'{pattern}) mapfile -t COMPREPLY < <(compgen -W "{" ".join(words)}" -- "$word"); {then};;'.replace(
        "; ;;", " ;;"
    )


def _bash_values(verb: str, options: "tuple[Option, ...]") -> "list[str]":
    """The cases of flags that take one of a few words."""
    few = [(takers((option,), ()), values(verb, option)) for option in options if values(verb, option)]
    return [_bash_words(f"                {'|'.join(words)}", choice) for words, choice in few]


def _free(verb: str, options: "tuple[Option, ...]") -> "tuple[Option, ...]":
    """The flags that take more than a few words."""
    return tuple(option for option in options if not values(verb, option))


def _bash_case(verb: Verb) -> str:
    lines = [f"        {verb.name})", f"            flags='{' '.join(flags(verb.options))}'"]
    free = _free(verb.name, verb.options)
    paths = [(takers(free, FOLDERS), "compgen -d"), (takers(free, FILES), "compgen -f")]
    plain = [w for w in takers(free, ()) if all(w not in words for words, _ in paths)]
    if takers(verb.options, ()):
        lines += ["            case $before in", *_bash_values(verb.name, verb.options)]
        for words, how in paths:
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
    local place=$root
    if [[ -z $place ]]; then
        place=/run/pyruntime
        (( EUID == 0 )) || [[ -z $XDG_RUNTIME_DIR ]] || place=$XDG_RUNTIME_DIR/pyruntime
    fi
    compadd -- $place/*(N/:t)
}

_pyruntime_verbs() {
    local -a verbs=(
@VERBS@
    )
    _describe command verbs
}

_pyruntime() {
    local context state line curcontext=$curcontext root
    typeset -A opt_args
    _arguments -C -S \\
@GLOBALS@
        '1:command:_pyruntime_verbs' '*::argument:->rest'
    root=${opt_args[--root]}
    [[ $state == rest ]] || return
    case $words[1] in
@CASES@
    esac
}

_pyruntime "$@"
"""


def zsh() -> str:
    """The script for zsh."""
    verbs = "\n".join(f"        {shlex.quote(f'{v.name}:{v.summary}')}" for v in VERBS.values())
    cases = "\n".join(_zsh_case(verb) for verb in VERBS.values())
    globals_ = "\n".join(f"        {spec} \\" for spec in _zsh_specs("", GLOBALS))
    return ZSH.replace("@VERBS@", verbs).replace("@GLOBALS@", globals_).replace("@CASES@", cases)


def _zsh_case(verb: Verb) -> str:
    actions = {"id": "'1:id:_pyruntime_ids'", "folder": "'1:bundle:_files -/'", "verb": "'1:command:_pyruntime_verbs'"}
    words = ARGUMENTS.get(verb.name)
    known = f"'1:word:({' '.join(words)})'" if words else actions.get(argument(verb), "'*:argument:_files'")
    specs = [*_zsh_specs(verb.name, verb.options), known]
    return " \\\n            ".join([f"        {verb.name}) _arguments -S", *specs]) + " ;;"


def _zsh_specs(verb: str, options: "tuple[Option, ...]") -> "list[str]":
    return [spec for option in (*options, HELP) if not option.hidden for spec in _zsh_spec(verb, option)]


def _zsh_spec(verb: str, option: Option) -> "list[str]":
    told = option.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
    action = "_files -/" if option.metavar in FOLDERS else "_files" if option.metavar in FILES else " "
    action = f"({' '.join(values(verb, option))})" if values(verb, option) else action
    value = f":{option.metavar.lower().replace(':', ' ')}:{action}" if option.kind != BOOL else ""
    star = "*" if option.kind == "list" else ""
    words = [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]
    return [shlex.quote(f"{star}{word}[{told}]{value}") for word in words]


FISH = """# Completion of pyruntime for fish. Made by scripts/lib/completions.py from the option table.
function __pyruntime_ids
    set -l root /run/pyruntime
    if test (id -u) -ne 0; and set -q XDG_RUNTIME_DIR
        set root $XDG_RUNTIME_DIR/pyruntime
    end
    set -l words (commandline -opc)
    if set -l at (contains -i -- --root $words); and set -q words[(math $at + 1)]
        set root $words[(math $at + 1)]
    end
    for folder in $root/*/
        string replace -r '.*/([^/]+)/$' '$1' -- $folder
    end
end
complete -c pyruntime -f
"""


def fish() -> str:
    """The script for fish."""
    lines = [_fish_flag("", option) for option in (*GLOBALS, HELP) if not option.hidden]
    for verb in VERBS.values():
        lines.append(f"complete -c pyruntime -n __fish_use_subcommand -a {verb.name} -d {_fish(verb.summary)}")
        lines += [_fish_flag(verb.name, option) for option in (*verb.options, HELP) if not option.hidden]
        more = {
            "id": "'(__pyruntime_ids)'",
            "folder": "'(__fish_complete_directories)'",
            "verb": _fish(" ".join(VERBS)),
        }
        words = _fish(" ".join(ARGUMENTS[verb.name])) if verb.name in ARGUMENTS else more.get(argument(verb))
        if words:
            lines.append(f"complete -c pyruntime -n {_fish_after(verb.name)} -a {words}")
    return FISH + "\n".join(dict.fromkeys(lines)) + "\n"


def _fish_after(verb: str) -> str:
    """The condition under which a line is looked at: in front of every verb, or behind this one."""
    return f"'__fish_seen_subcommand_from {verb}'" if verb else "__fish_use_subcommand"


def _fish_flag(verb: str, option: Option) -> str:
    value = "" if option.kind == BOOL else " -r -F" if option.metavar in (*FOLDERS, *FILES) else " -x"
    few = values(verb, option)
    value += f" -a {_fish(' '.join(few))}" if few else ""
    short = f" -s {option.short}" if option.short else ""
    return f"complete -c pyruntime -n {_fish_after(verb)} -l {option.name}{short}{value} -d {_fish(option.help)}"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: "dict[str, Callable[[], str]]" = {"bash": bash, "zsh": zsh, "fish": fish}

if __name__ == "__main__":
    sys.stdout.write(SHELLS[sys.argv[1]]())
