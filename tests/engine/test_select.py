"""Which containers hold a Wasm module: annotations, names and first bytes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.config.spec import Config
from pyruntime.engine import select
from pyruntime.engine.base import guest_env
from pyruntime.engine.select import HANDLER, VARIANT, candidates, choose, detect, kind_of
from pyruntime.errors import ConfigError, Error, Unsupported

MODULE = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"
ELF = b"\x7fELF\2\1\1\0"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (MODULE, "wasm-module"),
        (COMPONENT, "wasm-component"),
        (ELF, "elf"),
        (b"#!/bin/sh\n", "script"),
        (b"(module)", "wat"),
        (b"(module", "wat"),
        (b"  \n( module $name (func))", "wat"),
        (b";; a comment\n(; another (; in it ;) ;)\n(module(func))", "wat"),
        (b"(; (;;)(; (; ;) ;);)(module)", "wat"),
        (b"(; no end (; ;) (module)", "other"),
        (b"(component)", "wasm-component"),
        (b"(modules)", "other"),
        (b"(;", "other"),
        (b"(", "other"),
        (b"\0as", "other"),
        (b"", "other"),
    ],
)
def test_kind_of(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind


@given(st.binary(max_size=64))
def test_kind_of_answers_for_any_bytes(data: bytes) -> None:
    assert kind_of(data) in {"elf", "script", "wasm-module", "wasm-component", "wat", "other"}


@pytest.mark.parametrize(
    ("annotations", "program", "verdict", "engine"),
    [
        ({}, "/hello.wasm", "content", ""),
        ({HANDLER: "wasm"}, "/hello", "wasm", ""),
        ({HANDLER: "wasm-smart"}, "/hello", "content", ""),
        ({HANDLER: "wasm-smart"}, "/hello.wat", "wasm", ""),
        ({HANDLER: "wasmtime"}, "/hello", "wasm", "wasmtime"),
        ({HANDLER: "wasmer"}, "/hello", "wasm", "wasmer"),
        ({VARIANT: "compat"}, "/hello", "wasm", ""),
        ({VARIANT: "compat-smart"}, "/hello", "content", ""),
        ({VARIANT: "compat-smart"}, "/hello.wasm", "wasm", ""),
        ({VARIANT: "something"}, "/hello.wasm", "content", ""),
        ({HANDLER: "wasmer", VARIANT: "compat"}, "/hello", "wasm", "wasmer"),
        ({HANDLER: "wasm", "io.kubernetes.cri.container-type": "sandbox"}, "/pause", "native", ""),
        ({VARIANT: "compat", "io.kubernetes.cri-o.ContainerType": "sandbox"}, "/pause", "native", ""),
        ({HANDLER: "wasm", "io.kubernetes.cri.container-type": "container"}, "/app", "wasm", ""),
    ],
)
def test_choose(annotations: "dict[str, str]", program: str, verdict: str, engine: str) -> None:
    choice = choose(annotations, program)
    assert (choice.verdict, choice.engine) == (verdict, engine)


@pytest.mark.parametrize("handler", ["krun", "wasm3", "spin", "WASM", "-smart"])
def test_an_unknown_handler_is_refused(handler: str) -> None:
    with pytest.raises(Unsupported, match=r'annotations\["run.oci.handler"\].*wasm-smart'):
        choose({HANDLER: handler}, "/hello")


@pytest.mark.parametrize(
    ("program", "env", "cwd", "expected"),
    [
        ("/bin/x", ["PATH=/a"], "/", ["/bin/x"]),
        ("bin/x", [], "/srv", ["/srv/bin/x"]),
        ("x", ["PATH=/a:/b/"], "/", ["/a/x", "/b/x"]),
        ("x", ["PATH=/a", "PATH=/b"], "/", ["/b/x"]),
        ("x", ["PATH=:/a"], "/srv", ["/srv/x", "/a/x"]),
        ("x", [], "/srv", ["/bin/x", "/usr/bin/x"]),
        ("x", ["PATH="], "/srv", ["/bin/x", "/usr/bin/x"]),
        ("x", ["PATH=bin:/a"], "/srv", ["/srv/bin/x", "/a/x"]),
        ("x", ["PATH=bin::"], "/", ["/bin/x", "/x", "/x"]),
        ("x.wasm", ["PATH=/a"], "/srv", ["/a/x.wasm", "/srv/x.wasm"]),
        ("x.wasm", [], "/", ["/bin/x.wasm", "/usr/bin/x.wasm", "/x.wasm"]),
    ],
)
def test_candidates(program: str, env: "list[str]", cwd: str, expected: "list[str]") -> None:
    assert candidates(program, env, cwd) == expected


class Root:
    """A container's root in a directory; as `open_program` it opens below itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, path: str, content: bytes) -> None:
        target = self.directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def __call__(self, path: str) -> int:
        return os.open(self.directory / path.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def config(*args: str, env: "list[str] | None" = None, annotations: "dict[str, str] | None" = None) -> Config:
    process = {"cwd": "/", "args": list(args), "env": env or ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
    document = {"ociVersion": "1.2.0", "process": process, "annotations": annotations or {}, "root": {"path": "rootfs"}}
    return Config.read(document, "")


def test_a_module_is_found_by_its_bytes(root: Root) -> None:
    root.put("/bin/hello", MODULE + b"rest")
    for program in ("/bin/hello", "hello"):
        found = detect(config(program), root)
        assert found is not None
        assert (found.engine, found.path, found.wasm) == ("", "/bin/hello", MODULE + b"rest")
        assert found.because == "process.args[0]"


@pytest.mark.parametrize("content", [ELF, b"#!/bin/sh\n", b"", b"text"])
@pytest.mark.parametrize("annotations", [{}, {HANDLER: "wasm-smart"}, {VARIANT: "compat-smart"}])
def test_other_programs_are_native(root: Root, content: bytes, annotations: "dict[str, str]") -> None:
    root.put("/bin/hello", content)
    assert detect(config("hello", annotations=annotations), root) is None


def test_the_pause_container_is_native_whatever_it_holds(root: Root) -> None:
    root.put("/pause", MODULE)
    marks = {HANDLER: "wasm", "io.kubernetes.cri.container-type": "sandbox"}
    assert detect(config("/pause", annotations=marks), root) is None


def test_a_native_program_under_a_strict_annotation_is_refused(root: Root) -> None:
    root.put("/bin/hello", ELF)
    with pytest.raises(ConfigError, match=r"process.args\[0\]: /bin/hello is a native program.*-smart"):
        detect(config("hello", annotations={VARIANT: "compat"}), root)


def test_a_component_is_known_as_one(root: Root) -> None:
    root.put("/hello.wasm", COMPONENT)
    found = detect(config("/hello.wasm"), root)
    assert found is not None
    assert found.kind == "wasm-component"


def test_a_missing_program_is_left_to_execve_unless_a_module_was_asked_for(root: Root) -> None:
    assert detect(config("/nope"), root) is None
    with pytest.raises(Error, match='exec: "/nope": no such file or directory'):
        detect(config("/nope", annotations={HANDLER: "wasm"}), root)
    with pytest.raises(Error, match=r'exec: "nope": executable file not found in \$PATH'):
        detect(config("nope", annotations={HANDLER: "wasm"}), root)


def test_only_regular_files_are_read(root: Root) -> None:
    (root.directory / "dir.wasm").mkdir()
    os.mkfifo(root.directory / "pipe.wasm")
    for name in ("/dir.wasm", "/pipe.wasm"):
        assert detect(config(name), root) is None


def test_a_module_has_a_largest_size(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.put("/hello.wasm", MODULE + bytes(100))
    monkeypatch.setattr(select, "LARGEST", 64)
    with pytest.raises(ConfigError, match="has 108 bytes, a module may have 64"):
        detect(config("/hello.wasm"), root)


def test_text_that_is_not_utf8_is_refused_for_modules_only(root: Root) -> None:
    root.put("/hello.wasm", MODULE)
    root.put("/bin/native", ELF)
    bad = config("/hello.wasm", "x")
    assert bad.process is not None
    bad.process.args[1] = "\udcff"
    with pytest.raises(ConfigError, match=r"process.args\[1\]: is not UTF-8"):
        detect(bad, root)
    bad.process.args[0] = "/bin/native"
    assert detect(bad, root) is None


def test_no_process_no_module(root: Root) -> None:
    assert detect(Config.read({"ociVersion": "1.2.0"}, ""), root) is None


def test_descriptors_are_closed(root: Root) -> None:
    root.put("/hello.wasm", MODULE)
    before = len(os.listdir("/proc/self/fd"))
    detect(config("/hello.wasm"), root)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_working_directory_becomes_pwd() -> None:
    assert guest_env(["A=1"], "/srv") == ["A=1", "PWD=/srv"]
    assert guest_env(["PWD=/x"], "/srv") == ["PWD=/x"]
    assert guest_env(["A=1"], "/") == ["A=1"]


# The function behind the name


def test_the_function_is_taken_from_the_name(root: Root) -> None:
    root.put("/hello.wasm", MODULE)
    for program, function in (("/hello.wasm", "_start"), ("/hello.wasm#go", "go"), ("/hello.wasm#", "_start")):
        found = detect(config(program, "word"), root)
        assert found is not None
        assert (found.path, found.function, found.kind) == ("/hello.wasm", function, "wasm-module")
        assert found.argv([program, "a#go"])[1:] == ["a#go"]
    assert found.argv(["/hello.wasm#_start"]) == ["/hello.wasm"]


def test_a_file_with_a_number_sign_goes_first(root: Root) -> None:
    root.put("/hello#go", MODULE)
    root.put("/hello", MODULE)
    found = detect(config("/hello#go"), root)
    assert found is not None
    assert (found.path, found.function) == ("/hello#go", "_start")


def test_a_function_alone_names_no_module(root: Root) -> None:
    assert detect(config("#go"), root) is None
    with pytest.raises(Error, match='exec: "#go": executable file not found'):
        detect(config("#go", annotations={HANDLER: "wasm"}), root)


def test_a_smart_form_looks_at_the_name_before_the_function() -> None:
    assert choose({HANDLER: "wasm-smart"}, "/hello.wasm#go").verdict == "wasm"
    assert choose({HANDLER: "wasm-smart"}, "/hello#go.wasm").verdict == "content"


# Searching


def test_what_is_no_program_is_passed_over_in_path(root: Root) -> None:
    root.put("/a/hello", b"notes about hello")
    root.put("/b/hello", MODULE)
    found = detect(config("hello", env=["PATH=/a:/b"]), root)
    assert found is not None
    assert found.path == "/b/hello"


def test_the_same_file_is_known_until_it_changes(root: Root, tmp_path: Path) -> None:
    root.put("/hello.wasm", MODULE)
    found = detect(config("/hello.wasm"), root)
    assert found is not None
    file = tmp_path / "hello.wasm"
    assert found.is_same(file.stat())
    file.write_bytes(MODULE + MODULE)
    assert not found.is_same(file.stat())
