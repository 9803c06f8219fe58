"""`wasm`: the engines that are there, and the compiled modules that are kept."""

import posix as os

from pyruntime.cli.context import Context, write_out
from pyruntime.engine import annotations, engines
from pyruntime.engine.cache import BOUND, Cache, place
from pyruntime.engine.select import HEAD, KINDS, LARGEST, Selection, kind_of
from pyruntime.errors import Error, UsageError, explain_oserror
from pyruntime.host.userns import in_user_namespace
from pyruntime.report.jsonout import dumps
from pyruntime.report.table import columns
from pyruntime.report.times import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.base import Limits
    from pyruntime.engine.cache import Entry

    Json = dict[str, object]

_KEY = 12  # digits of a key that are shown to people
_WORDS = ("engines", "cache list", "cache prune", "cache warm FILE...")


def run(context: Context) -> int:
    """wasm engines, wasm cache list, prune and warm."""
    words = context.arguments
    if words == ["engines"]:
        return _engines(context)
    if words == ["cache", "list"]:
        return _list(context)
    if words == ["cache", "prune"]:
        return _prune(context)
    if words[:2] == ["cache", "warm"] and len(words) > 2:
        return _warm(context, words[2:])
    raise UsageError(f"wasm {' '.join(words)}: expected one of: {', '.join(_WORDS)}")


def _engines(context: Context) -> int:
    """Every engine with what it can do, or with the reason why it is absent."""
    answers = [answer.to_json() for answer in engines.survey()]
    if context.options.flag("json"):
        write_out(dumps(answers) + "\n")
        return 0
    for answer in answers:
        write_out(f"{answer.pop('name')}\n")
        write_out("".join(f"    {key:<10} {_text(value)}\n" for key, value in answer.items()))
    return 0


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (" ".join(value) or "none") if isinstance(value, list) else str(value)


def _place() -> str:
    found = place(in_user_namespace())
    if not found:
        raise Error("cache of Wasm modules: neither XDG_CACHE_HOME nor HOME says where; set one of them")
    return found


def _list(context: Context) -> int:
    entries = _entries(_place())
    if context.options.flag("json"):
        write_out(dumps([_entry(entry) for entry in entries]) + "\n")
        return 0
    rows = [("KEY", "BYTES", "ENGINE", "LAST USED", "PROGRAM")]
    for entry in entries:
        note = entry.note
        used = rfc3339(int(entry.used) * 1_000_000_000)
        rows.append((entry.key[:_KEY], str(entry.size), note.get("engine", "?"), used, note.get("program", "?")))
    write_out(columns(rows))
    return 0


def _entry(entry: "Entry") -> "Json":
    known: "Json" = {"key": entry.key, "bytes": entry.size, "lastUsed": rfc3339(int(entry.used) * 1_000_000_000)}
    known.update((name, value) for name, value in entry.note.items() if name in ("engine", "program"))
    return known


def _entries(directory: str) -> "list[Entry]":
    if not os.access(directory, os.F_OK):
        return []
    cache = Cache(directory)
    try:
        return cache.entries()
    finally:
        cache.close()


def _prune(context: Context) -> int:
    """Remove the least recently used down to --size, and tell what went."""
    directory = _place()
    bound = context.options.number("size")
    if not os.access(directory, os.F_OK):
        return 0
    cache = Cache(directory)
    try:
        cache.lock()
        for entry in cache.prune(BOUND if bound is None or bound < 0 else bound):
            write_out(f"{entry.key[:_KEY]} {entry.size}\n")
    finally:
        cache.close()
    return 0


def _warm(context: Context, files: "list[str]") -> int:
    """Compile modules ahead of their first container, as one with these annotations would have them compiled."""
    asked = dict(_pair(text) for text in context.options.many("annotation"))
    limits, demanded = annotations.limits(asked)
    engine = context.options.text("engine") or ""
    directory = _place()
    Cache(directory).close()  # unlike a container's start, this is for nothing without it
    for file in files:
        write_out(_warmed(file, engine, limits, directory, demanded) + "\n")
    return 0


def _pair(text: str) -> "tuple[str, str]":
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f'--annotation {text}: expected NAME=VALUE, such as {annotations.FUEL}="1000000"')
    return name, value


def _warmed(file: str, engine: str, limits: "Limits", directory: str, demanded: "tuple[str, ...]") -> str:
    wasm = _program(file)
    selection = Selection(engine, file, wasm, file, kind_of(wasm[:HEAD]))
    prepared = engines.prepare(selection, limits, directory, demanded)
    try:
        if prepared.fd < 0:
            return f"{file}: engine {prepared.engine.name} compiles nothing ahead"
        if prepared.lost:
            raise Error(f"{file}: compiled and not kept: cache of Wasm modules: {directory}: {prepared.lost}")
        size = os.fstat(prepared.fd).st_size
    finally:
        prepared.close()
    return f"{file}: {'was there' if prepared.cached else 'compiled'}, {size} bytes for {prepared.engine.name}"


def _program(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            wasm = stream.read(LARGEST + 1)
    except OSError as error:
        raise Error(explain_oserror(error)) from None
    if len(wasm) > LARGEST or kind_of(wasm[:HEAD]) not in KINDS:
        raise Error(f"{file}: expected a WebAssembly program of at most {LARGEST} bytes")
    return wasm
