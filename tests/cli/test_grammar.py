"""Command lines as container engines and people write them."""

import shlex

import pytest

from pyruntime.cli.grammar import CommandLineError, Invocation, parse
from pyruntime.cli.options import VERBS
from pyruntime.errors import UsageError


def line(text: str) -> Invocation:
    return parse(["/usr/bin/pyruntime", *shlex.split(text)])


def refusal(text: str) -> CommandLineError:
    with pytest.raises(CommandLineError) as caught:
        line(text)
    return caught.value


def test_shim_create() -> None:
    found = line(
        "--root /run/containerd/runc/k8s.io --log /b/log.json --log-format json --systemd-cgroup"
        " create --bundle /b --pid-file /b/init.pid --console-socket /tmp/s --no-pivot --no-new-keyring box"
    )
    assert found.verb == "create"
    assert found.arguments == ["box"]
    assert found.globals.text("root") == "/run/containerd/runc/k8s.io"
    assert found.globals.text("log-format") == "json"
    assert found.globals.flag("systemd-cgroup")
    assert found.options.text("bundle") == "/b"
    assert found.options.text("pid-file") == "/b/init.pid"
    assert found.options.text("console-socket") == "/tmp/s"
    assert found.options.flag("no-pivot")
    assert found.options.flag("no-new-keyring")
    assert not found.options.flag("no-subreaper")
    assert not found.help


def test_shim_restore_with_a_long_option_behind_one_dash() -> None:
    found = line("restore --image-path /i --work-path /w --detach --pid-file /p -no-subreaper --bundle /b box")
    assert found.options.flag("no-subreaper")
    assert found.arguments == ["box"]


def test_shim_update_from_stdin() -> None:
    assert line("update --resources=- box").options.text("resources") == "-"
    assert line("update --resources - box").options.text("resources") == "-"


def test_conmon_exec() -> None:
    found = line("exec -d --console-socket=/s --tty --pid-file=/p box sh -c 'exit 3' --tty=no")
    assert found.options.flag("detach")
    assert found.options.flag("tty")
    assert found.arguments == ["box", "sh", "-c", "exit 3", "--tty=no"]


@pytest.mark.parametrize(
    "written", ["--bundle /x", "--bundle=/x", "-bundle /x", "-bundle=/x", "-b /x", "-b=/x", "--b /x"]
)
def test_spellings_of_a_flag(written: str) -> None:
    for text in (f"create {written} box", f"create box {written}"):
        found = line(text)
        assert found.options.text("bundle") == "/x"
        assert found.options.given("bundle")
        assert found.arguments == ["box"]


def test_a_value_may_be_empty_or_hold_an_equals_sign() -> None:
    assert line("create --bundle= box").options.text("bundle") == ""
    assert line("exec --env=A=b=c box sh").options.many("env") == ["A=b=c"]


@pytest.mark.parametrize("verb", ["kill", "ps", "exec"])
def test_flags_end_at_the_first_argument(verb: str) -> None:
    assert line(f"{verb} box -ef").arguments == ["box", "-ef"]
    assert line(f"{verb} box --").arguments == ["box", "--"]


def test_flags_may_follow_the_argument_of_other_verbs() -> None:
    assert line("delete box --force").options.flag("force")
    assert line("list -q").options.flag("quiet")


def test_two_dashes_end_the_flags() -> None:
    assert line("state -- -box").arguments == ["-box"]
    assert line("explain box -- --json").arguments == ["box", "--json"]
    assert line("-- state box").verb == "state"


def test_a_lone_dash_is_an_argument() -> None:
    assert line("state -").arguments == ["-"]


def test_repeated_flags() -> None:
    found = line("exec -e A=1 --env B=2,C=3 --cgroup cpu,cpuacct:sub -g 1 -g 2 -u 1 -u 2:3 box id")
    assert found.options.many("env") == ["A=1", "B=2,C=3"]
    assert found.options.many("cgroup") == ["cpu,cpuacct:sub"]
    assert found.options.many("additional-gids") == ["1", "2"]
    assert found.options.many("cap") == []
    assert found.options.text("user") == "2:3"


def test_lists_are_not_shared_between_command_lines() -> None:
    line("exec -e A=1 box id").options.many("env").append("x")
    assert line("exec -e B=2 box id").options.many("env") == ["B=2"]


@pytest.mark.parametrize("value", ["1", "t", "T", "true", "TRUE", "True"])
def test_true(value: str) -> None:
    assert line(f"delete --force={value} box").options.flag("force")


@pytest.mark.parametrize("value", ["0", "f", "F", "false", "FALSE", "False"])
def test_false(value: str) -> None:
    found = line(f"delete --force --force={value} box")
    assert not found.options.flag("force")
    assert found.options.given("force")


def test_a_boolean_leaves_the_next_word_alone() -> None:
    assert line("delete --force true").arguments == ["true"]


def test_numbers() -> None:
    found = line("update --memory 64m --memory-swap -1 --pids-limit -1 --cpu-quota=50000 box")
    assert found.options.number("memory") == 64 << 20
    assert found.options.number("memory-swap") == -1
    assert found.options.number("pids-limit") == -1
    assert found.options.number("cpu-quota") == 50000
    assert found.options.number("cpu-period") is None


def test_defaults() -> None:
    found = line("events box")
    assert found.options.seconds("interval") == 5.0
    assert not found.options.given("interval")
    assert line("events --interval 1m30s box").options.seconds("interval") == 90.0
    assert line("create box").options.number("preserve-fds") == 0
    assert line("create box").options.text("bundle") is None
    assert found.globals.text("log-format") == "text"
    assert found.globals.text("rootless") == "auto"
    assert found.globals.text("root") is None


def test_an_accessor_gives_nothing_of_another_kind() -> None:
    options = line("update --memory 1 --cpuset-cpus 0 box").options
    assert options.text("memory") is None
    assert options.number("cpuset-cpus") is None
    assert options.many("memory") == []
    assert options.seconds("memory") is None
    assert line("delete --force box").options.number("force") is None


def test_a_name_that_the_verb_does_not_have_is_a_mistake_of_ours() -> None:
    options = line("create box").options
    assert "bundle" in options
    assert "keep" not in options
    for accessor in (options.text, options.flag, options.number, options.seconds, options.many):
        with pytest.raises(KeyError):
            accessor("keep")


def test_global_flags_of_others_are_taken() -> None:
    found = line("--criu /bin/criu --cgroup-manager=disabled --log-level debug --rootless false state box")
    assert found.globals.text("cgroup-manager") == "disabled"
    assert found.globals.text("log-level") == "debug"
    assert found.globals.text("rootless") == "false"


def test_bytes_that_are_not_utf8_stay_as_they_are() -> None:
    odd = b"/srv/\xff".decode("utf-8", "surrogateescape")
    found = parse(["p", "create", "--bundle", odd, odd])
    assert found.options.text("bundle") == odd
    assert found.arguments == [odd]


@pytest.mark.parametrize("text", ["", "--debug", "--version", "-v", "--version state a b c", "-v nonsense"])
def test_no_verb(text: str) -> None:
    found = line(text)
    assert found.verb is None
    assert not found.help
    assert found.globals.flag("version") == ("v" in text)


@pytest.mark.parametrize("text", ["--help", "-h", "-help", "--help state", "--debug --help --nonsense"])
def test_help_of_the_program(text: str) -> None:
    found = line(text)
    assert found.verb is None
    assert found.help


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["--help", "-h", "--help --nonsense"])
def test_help_of_a_verb(verb: str, flag: str) -> None:
    found = line(f"{verb} {flag}")
    assert found.verb == verb
    assert found.help


def test_help_inside_the_container_is_not_ours() -> None:
    assert not line("exec box ls --help").help


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_of_a_verb_is_right(verb: str) -> None:
    assert line(VERBS[verb].example).verb == verb


@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if (verb.least, verb.most) == (1, 1)])
def test_exactly_one_argument(verb: str) -> None:
    for text in (verb, f"{verb} a b"):
        error = refusal(text)
        assert error.text == f'pyruntime: "{verb}" requires exactly 1 argument(s)'
        assert error.verb == verb
        assert error.code == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("list x", "exactly 0"),
        ("kill", "a minimum of 1"),
        ("kill a b c", "a maximum of 2"),
        ("exec", "a minimum of 1"),
        ("ps", "a minimum of 1"),
        ("explain a b c", "a maximum of 2"),
        ("help a b", "a maximum of 1"),
    ],
)
def test_other_counts(text: str, wanted: str) -> None:
    assert refusal(text).text == f'pyruntime: "{text.split()[0]}" requires {wanted} argument(s)'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("restore --lsm-mount-context", "flag needs an argument: --lsm-mount-context"),
        ("create box -b", "flag needs an argument: --bundle"),
        ("create --bund /b box", "flag provided but not defined: --bund; did you mean --bundle?"),
        ("create --zzz=1 box", "flag provided but not defined: --zzz"),
        ("create ---bundle /b box", "flag provided but not defined: ---bundle; did you mean --bundle?"),
        ("exec -it box sh", "flag provided but not defined: -it"),
        ("exec -td box sh", "flag provided but not defined: -td; write short flags apart: -t -d"),
        ("state --root /r box", "flag provided but not defined: --root; it is a global flag: write it before state"),
        ("update --memroy 1 box", "flag provided but not defined: --memroy; did you mean --memory?"),
        ("delete --force=maybe box", 'invalid value "maybe" for --force: expected true or false'),
        ("delete --force= box", 'invalid value "" for --force: expected true or false'),
        (
            "create --preserve-fds x box",
            'invalid value "x" for --preserve-fds: expected a whole number of at most 64 bits',
        ),
        (
            "create --preserve-fds 9223372036854775808 box",
            'invalid value "9223372036854775808" for --preserve-fds: expected a whole number of at most 64 bits',
        ),
        (
            "events --interval 5 box",
            'invalid value "5" for --interval: the unit is missing: expected ns, us, ms, s, m or h, as in 1m30s',
        ),
    ],
)
def test_wrong_flags(text: str, message: str) -> None:
    error = refusal(text)
    assert error.text == message
    assert error.code == 1
    assert error.verb == text.split()[0]
    assert isinstance(error, UsageError)


@pytest.mark.parametrize("digits", ["", "-", "+", "1_0", "0x10", " 1", "\u0661", "1.0", "9" * 20, "9" * 5000])
def test_what_is_no_number(digits: str) -> None:
    with pytest.raises(CommandLineError, match="expected a whole number"):
        parse(["p", "create", "--preserve-fds", digits, "box"])


def test_an_unknown_global_flag() -> None:
    error = refusal("--rot /r state box")
    assert error.text == "flag provided but not defined: --rot; did you mean --root?"
    assert error.verb is None


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("strt box", 'unknown command "strt"; did you mean start?'),
        ("qqq", 'unknown command "qqq"'),
        ("qqq --help", "No help topic for 'qqq': unknown command \"qqq\""),
        ("qqq -h", "No help topic for 'qqq': unknown command \"qqq\""),
    ],
)
def test_an_unknown_verb(word: str, message: str) -> None:
    error = refusal(word)
    assert error.text == message
    assert error.code == 3
    assert error.verb is None


@pytest.mark.parametrize("wrong", ["strt box", "state a b", "state --nonsense", "--nonsense"])
def test_an_error_still_knows_where_to_be_logged(wrong: str) -> None:
    found = refusal(f"--log /l --log-format=json {wrong}").globals
    assert found is not None
    assert found.text("log") == "/l"
    assert found.text("log-format") == "json"
