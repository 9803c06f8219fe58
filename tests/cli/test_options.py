"""The option table is consistent, and holds every flag that the callers of container runtimes pass."""

import pytest

from pyruntime.cli.options import BOOL, GLOBALS, GROUPS, HELP, INT, LIST, SIZE, VERBS, Option, Verb

TABLES = {"": GLOBALS, **{name: (*verb.options, HELP) for name, verb in VERBS.items()}}

PASSED_BY_CALLERS = {
    "": "root log log-format log-level debug systemd-cgroup cgroup-manager rootless criu version help",
    "create": "bundle console-socket pidfd-socket pid-file no-pivot no-new-keyring preserve-fds config no-subreaper",
    "run": "bundle console-socket pidfd-socket pid-file no-pivot no-new-keyring preserve-fds config no-subreaper"
    " detach keep",
    "kill": "all regex",
    "delete": "force regex",
    "exec": "console-socket pidfd-socket cwd env tty user additional-gids process detach pid-file process-label"
    " apparmor no-new-privs cap preserve-fds cgroup ignore-paused",
    "list": "format quiet",
    "ps": "format",
    "events": "interval stats",
    "update": "resources blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period cpu-rt-runtime cpuset-cpus"
    " cpuset-mems cpu-idle memory memory-reservation memory-swap pids-limit l3-cache-schema mem-bw-schema"
    " kernel-memory kernel-memory-tcp",
    "spec": "bundle rootless file",
    "checkpoint": "image-path work-path parent-path leave-running tcp-established tcp-skip-in-flight link-remap"
    " ext-unix-sk shell-job lazy-pages status-fd page-server file-locks pre-dump manage-cgroups-mode empty-ns"
    " auto-dedup network-lock",
    "restore": "console-socket image-path work-path tcp-established ext-unix-sk shell-job file-locks"
    " manage-cgroups-mode bundle detach pid-file no-subreaper no-pivot empty-ns auto-dedup"
    " lazy-pages lsm-profile lsm-mount-context tcp-close network-lock preserve-fds no-new-keyring",
    "explain": "bundle json verbose",
}


@pytest.mark.parametrize("name", PASSED_BY_CALLERS)
def test_a_verb_has_every_flag_that_callers_pass(name: str) -> None:
    assert set(PASSED_BY_CALLERS[name].split()) <= {option.name for option in TABLES[name]}


def test_every_verb_is_there() -> None:
    lifecycle = {"create", "start", "run", "state", "kill", "delete", "exec", "pause", "resume", "update"}
    more = {"list", "ps", "events", "spec", "features", "checkpoint", "restore", "help"}
    look = {"explain", "step", "check", "inspect", "doctor", "setup", "wasm"}
    assert set(VERBS) == lifecycle | more | look


@pytest.mark.parametrize("name", TABLES)
def test_no_name_stands_for_two_flags(name: str) -> None:
    names = [word for option in TABLES[name] for word in (option.name, option.short) if word]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, table in TABLES.items() for option in table])
def test_an_option_tells_all_about_itself(name: str, option: Option) -> None:
    assert (option.metavar == "") == (option.kind == BOOL)
    assert len(option.short) <= 1
    assert option.help
    assert not option.help.endswith(".")


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_verb_tells_all_about_itself(verb: Verb) -> None:
    assert verb.about.endswith(".")
    assert verb.example.split()[0] == verb.name
    assert verb.group in GROUPS or verb.name == "help"
    assert verb.most is None or verb.least <= verb.most


@pytest.mark.parametrize(
    ("verb", "shorts"),
    [
        ("create", {"b": "bundle", "f": "config"}),
        ("run", {"b": "bundle", "d": "detach", "f": "config"}),
        ("kill", {"a": "all", "r": "regex"}),
        ("delete", {"f": "force", "r": "regex"}),
        (
            "exec",
            {"e": "env", "t": "tty", "u": "user", "g": "additional-gids", "p": "process", "d": "detach", "c": "cap"},
        ),
        ("list", {"f": "format", "q": "quiet"}),
        ("ps", {"f": "format"}),
        ("update", {"r": "resources"}),
        ("spec", {"b": "bundle", "f": "file"}),
        ("restore", {"b": "bundle", "d": "detach"}),
    ],
)
def test_short_forms(verb: str, shorts: "dict[str, str]") -> None:
    assert {option.short: option.name for option in VERBS[verb].options if option.short} == shorts


def test_kinds_that_callers_count_on() -> None:
    kinds = {(verb, option.name): option.kind for verb, table in TABLES.items() for option in table}
    lists = {("exec", "env"), ("exec", "cap"), ("exec", "additional-gids"), ("exec", "cgroup")}
    lists |= {("checkpoint", "empty-ns"), ("restore", "empty-ns"), ("wasm", "annotation"), ("spec", "set")}
    assert {key for key, kind in kinds.items() if kind == LIST} == lists
    assert kinds["create", "preserve-fds"] == INT
    assert kinds["update", "memory-swap"] == SIZE


def test_only_these_verbs_leave_later_flags_alone() -> None:
    assert {name for name, verb in VERBS.items() if verb.stops} == {"exec", "kill", "ps"}
