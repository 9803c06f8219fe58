"""A subject, and a comparison, as lines for people."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from pyruntime.errors import one_line
from pyruntime.kernel.caps import NAMES
from pyruntime.look.inspect.calls import BY_ARGUMENTS
from pyruntime.look.inspect.compare import name
from pyruntime.look.lines import room
from pyruntime.report.paint import Paint

_INDENT = 14
_BAR = 10
_HIDDEN = "not readable for you"
Json = dict[str, Any]


def text(subject: Json, paint: Paint) -> str:
    """The page of one subject."""
    subject = _tamed(subject)
    lines = [paint("head", _title(subject))]
    for label, parts in (
        ("namespaces", _namespaces(subject)),
        ("users", _users(subject)),
        ("cgroup", _cgroup(subject, paint)),
        ("capabilities", _capabilities(subject)),
        ("seccomp", _seccomp(subject)),
        ("security", _label(subject)),
        ("program", _program(subject)),
        ("mounts", _mounts(subject)),
    ):
        lines += _labelled(_block(label, parts), label, paint)
    return "\n".join(lines) + "\n"


def _tamed(value: Any) -> Any:
    """With all its texts on one line: names, words and paths are the container's own, and this is our terminal."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {key: _tamed(item) for key, item in value.items()}
    return [_tamed(item) for item in value] if isinstance(value, list) else value


def _labelled(lines: "list[str]", label: str, paint: Paint) -> "list[str]":
    return [
        line.replace(label, paint("runtime", label), 1) if not number else line for number, line in enumerate(lines)
    ]


def _block(label: str, parts: "Iterator[str]") -> "list[str]":
    lines: "list[str]" = []
    for part in parts:
        head = f"{'' if lines else label:<{_INDENT}}"
        if "\x1b" in part:  # has colour, and is known to be short
            lines.append(head + part)
            continue
        indent = "\1" * _INDENT
        folded = wrap(part, room(), initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)
        lines += [line.replace(indent, head if not number else " " * _INDENT) for number, line in enumerate(folded)]
    return lines


def _title(subject: Json) -> str:
    container, process = subject["container"], subject["process"]
    inside = f" → {process['pids'][-1]} inside" if len(process["pids"]) > 1 else ""
    words = [name(subject)]
    if container:
        words += [container["status"], f"bundle {container['bundle']}"]
    if container or inside or subject.get("host"):
        words.append(f"pid {subject['pid']}{inside}")
    words += [f"up {_duration(process['seconds'])}", process["name"]]
    return "  ".join(words)


def _duration(seconds: "float | None") -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _namespaces(subject: Json) -> "Iterator[str]":
    spaces = subject["namespaces"]
    own = [kind for kind, entry in spaces.items() if entry["own"]]
    shared = [kind for kind, entry in spaces.items() if entry["own"] is False]
    hidden = [kind for kind, entry in spaces.items() if entry["own"] is None]
    yield f"its own: {' '.join(own) or 'none'}"
    if shared:
        yield f"the host's: {' '.join(shared)}"
    if hidden:
        yield f"{_HIDDEN}: {' '.join(hidden)}"


def _users(subject: Json) -> "Iterator[str]":
    process, maps = subject["process"], subject["idMaps"]["uid"]
    yield f"uid {process['uid']}, gid {process['gid']} on the host"
    if maps:
        shown = ", ".join(f"{e['containerID']} is {e['hostID']} ({e['size']} ids)" for e in maps[:4])
        yield f"user namespace: {shown}{', …' if len(maps) > 4 else ''}"
    elif subject["namespaces"]["user"]["own"] is False:
        yield "no user namespace of its own: root inside is root outside"


def _cgroup(subject: Json, paint: Paint) -> "Iterator[str]":
    cgroup = subject["cgroup"]
    named = f"  (as {cgroup['named']['engine']} names them)" if cgroup["named"] else ""
    yield f"{cgroup['path'] or 'none'}{named}{'  FROZEN' if cgroup.get('frozen') else ''}"
    if "memory" in cgroup:
        yield _memory(cgroup["memory"], paint)
    if "cpu" in cgroup:
        yield _cpu(cgroup["cpu"])
    if "pids" in cgroup:
        pids = cgroup["pids"]
        yield f"pids    {_of(pids['current'], pids['max'])}{_alarm(pids['limitHits'], 'refused', paint)}"
    if "io" in cgroup:
        io = cgroup["io"]
        yield f"io      {_size(io['read'])} read, {_size(io['written'])} written{_waiting(io['pressure'])}"


def _memory(memory: Json, paint: Paint) -> str:
    bar = f"{_bar(memory['current'], memory['max'])}  " if memory["max"] else ""
    peak = f"peak {_size(memory['peak'])}" if memory["peak"] is not None else ""
    head = f"memory  {_size(memory['current'])} of {_size(memory['max'])}  {bar}{peak}"
    return f"{head}{_alarm(memory['oomKills'], 'killed (OOM)', paint)}{_waiting(memory['pressure'])}"


def _cpu(cpu: Json) -> str:
    most = f"{cpu['max']:g} CPUs" if cpu["max"] else "no limit"
    held = f", held back {cpu['throttled']} times for {cpu['throttledFor']:.2f} s" if cpu["throttled"] else ""
    return f"cpu     {cpu['used']:.2f} s used, {most}{held}{_waiting(cpu['pressure'])}"


def _of(current: int, most: "int | None") -> str:
    return f"{current} of {most}  {_bar(current, most)}" if most else f"{current}, no limit"


def _bar(current: "int | None", most: "int | None") -> str:
    full = min(_BAR, round(_BAR * (current or 0) / (most or 1)))
    return "▓" * full + "░" * (_BAR - full)


def _alarm(count: int, what: str, paint: Paint) -> str:
    return "  " + paint("error", f"{count} {what}") if count else ""


def _waiting(percent: "float | None") -> str:
    return f"  pressure {percent:g} %" if percent else ""


def _size(size: "int | None") -> str:
    if size is None:
        return "no limit"
    value, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _capabilities(subject: Json) -> "Iterator[str]":
    sets = subject["capabilities"]
    yield f"effective: {_listed(sets['effective'])}"
    if sets["bounding"] != sets["effective"]:
        yield f"to be had at most (bounding): {_listed(sets['bounding'])}"
    if sets["ambient"]:
        yield f"kept over execve (ambient): {_listed(sets['ambient'])}"
    yield f"no_new_privs: {'yes' if subject['noNewPrivileges'] else 'no'}"


def _listed(names: "list[str]") -> str:
    if len(names) >= len(NAMES):
        return f"all {len(names)}"
    lacking = [_short(entry) for entry in NAMES if entry not in names]
    if len(names) > len(NAMES) / 2:
        return f"all but {' '.join(lacking)}"
    return f"{' '.join(_short(entry) for entry in names)} ({len(names)} of {len(NAMES)})" if names else "none"


def _short(capability: str) -> str:
    return capability.removeprefix("CAP_").lower()


def _seccomp(subject: Json) -> "Iterator[str]":
    seccomp = subject["seccomp"]
    stacked = f", {seccomp['filters']} stacked" if seccomp["filters"] > 1 else ""
    yield f"{seccomp['mode']}{stacked}" if seccomp["mode"] != "none" else "none: every system call may be tried"
    known = (subject["container"] or {}).get("filter")
    if known:
        calls = known["calls"]
        most = max(calls, key=lambda action: len(calls[action]))
        yield f"{known['instructions']} instructions; {most} for {len(calls[most])} calls"
        for action, names in calls.items():
            if action != most:
                shown = " ".join(names[:24]) + (f" and {len(names) - 24} more" if len(names) > 24 else "")
                yield f"{'it depends on arguments' if action == BY_ARGUMENTS else action}: {shown}"


def _label(subject: Json) -> "Iterator[str]":
    if subject["label"]:
        yield subject["label"]


def _program(subject: Json) -> "Iterator[str]":
    container = subject["container"]
    if container and container["wasm"]:
        engine = f" by {container['wasm']}" if isinstance(container["wasm"], str) else ""
        yield f"a Wasm module{engine}: {' '.join(container['args'])}"
    else:
        yield subject["process"]["command"] or "(no command line)"


def _mounts(subject: Json) -> "Iterator[str]":
    mounts = subject["mounts"]
    if mounts is None:
        yield _HIDDEN
        return
    writable = [mount for mount in mounts if not mount["readonly"] and not mount["virtual"]]
    yield f"{len(mounts)}, of them {sum(m['readonly'] for m in mounts)} read-only"
    for mount in writable[:12]:
        yield f"writable: {mount['destination']}  ← {mount['source']} {mount['shows']} ({mount['type']})"
    if len(writable) > 12:
        yield f"and {len(writable) - 12} more that are writable"


def comparison(found: Json, subject: Json, paint: Paint) -> str:
    """The page of a comparison."""
    found, subject = _tamed(found), _tamed(subject)
    other = found["with"]
    lines = [paint("head", f"{name(subject)} against {other}")]
    spaces = found["namespaces"]
    for label, parts in (
        ("namespaces", iter([_kinds(spaces, False, "apart"), _kinds(spaces, True, "shared")])),
        ("users", iter([f"root inside is {found['users'][0]}; of {other}: {found['users'][1]}"])),
        ("cgroup", iter([f"limits of {found['cgroup']['shared']} and above hold for both"])),
        ("capabilities", _differences(found["capabilities"], other)),
        ("no_new_privs", iter([_two([_yes(value) for value in found["noNewPrivileges"]], other)])),
        ("seccomp", iter([_two(found["seccomp"], other)])),
        ("mounts", _differences(found["mounts"], other)),
    ):
        lines += _labelled(_block(label, parts), label, paint)
    return "\n".join(lines) + "\n"


def _kinds(spaces: "dict[str, bool | None]", same: bool, word: str) -> str:
    return f"{word}: {' '.join(kind for kind, value in spaces.items() if value is same) or 'none'}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _two(values: "list[str]", other: str) -> str:
    return f"{values[0]}; {other}: {values[1]}"


def _differences(sets: "Json | None", other: str) -> "Iterator[str]":
    if sets is None:
        yield _HIDDEN
        return
    if not sets["only"] and not sets["lacking"]:
        yield f"the same {len(sets['both'])}"
    for key, words in (("lacking", f"only {other} has"), ("only", f"{other} has not")):
        entries = [entry.removeprefix("CAP_").lower() if entry in NAMES else entry for entry in sets[key]]
        if entries:
            shown = " ".join(entries[:20]) + (f" and {len(entries) - 20} more" if len(entries) > 20 else "")
            yield f"{words} ({len(entries)}): {shown}"
