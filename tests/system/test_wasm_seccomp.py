"""A module's filter of system calls: it hinders no guest, it is there, and it can be left out."""

import os
import platform
import shutil
import subprocess
import sys

import pytest

from pyruntime.seccomp import wasm as data
from pyruntime.seccomp.tables import known
from tests.system.harness import ROOT, Bundle, Result, Runtime
from tests.system.probes import PROBES
from tests.system.wasm import Wasm
from tests.system.wat import READ, WRITE, Program, told

SWITCH = "pyruntime.wasm.seccomp"
# What the profiles of container engines keep from a process without capabilities.
_KEPT = (
    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "clone", "clone3", "create_module", "delete_module",
    "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy",
    "init_module", "ioperm", "iopl", "io_uring_enter", "io_uring_register", "io_uring_setup", "kcmp",
    "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount", "mount_setattr", "move_mount",
    "move_pages", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pivot_root",
    "process_vm_readv", "process_vm_writev", "ptrace", "query_module", "quotactl", "reboot", "request_key",
    "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "swapoff", "swapon", "syslog",
    "umount", "umount2", "unshare", "uselib", "userfaultfd", "ustat", "vm86", "vm86old", "vmsplice",
)  # fmt: skip


def usual_profile() -> "dict[str, object]":
    """A profile as container engines bring it along: a long list of names, threads and forks, no new namespace."""
    allowed = sorted(set(known.NAMES.split()).difference(_KEPT))
    no_namespace = {"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "syscalls": [
            {"names": allowed, "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [no_namespace]},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        ],
    }


def probed(rt: Runtime, bundle: Bundle) -> Result:
    (bundle.path / "input").write_bytes(b"some input")
    bundle.config["annotations"]["pyruntime.wasm.timeout"] = "2"
    with (bundle.path / "input").open("rb") as file:
        return rt.run(bundle, stdin=file)


@pytest.mark.parametrize("name", PROBES)
def test_a_guest_behaves_alike_with_and_without(rt: Runtime, wasm: Wasm, name: str) -> None:
    free, ours, usual, late = (wasm(PROBES[name]()) for _ in range(4))
    free.config["annotations"][SWITCH] = "unconfined"
    usual.linux["seccomp"] = usual_profile()
    late.linux["seccomp"] = usual_profile()
    late.process["noNewPrivileges"] = False
    found = [probed(rt, bundle) for bundle in (free, ours, usual, late)]
    expected = (found[0].rc, found[0].out, found[0].err)
    assert [(each.rc, each.out, each.err) for each in found] == [expected] * 4


def status(rt: Runtime, bundle: Bundle) -> "dict[str, str]":
    result = rt.run(bundle)
    assert result.rc == 0, result
    return {name: value.strip() for name, _, value in (line.partition(":") for line in result.out.splitlines())}


@pytest.mark.parametrize("case", ["ours", "unconfined", "of the configuration", "empty"])
def test_what_is_loaded(rt: Runtime, wasm: Wasm, case: str) -> None:
    """One filter, of ours or of the configuration; an empty profile is none."""
    bundle = wasm(Program().cat("proc/self/status"))
    if case == "unconfined":
        bundle.config["annotations"][SWITCH] = "unconfined"
    if case == "of the configuration":
        bundle.linux["seccomp"] = usual_profile()
    if case == "empty":
        bundle.linux["seccomp"] = {"defaultAction": "", "syscalls": []}
    found = status(rt, bundle)
    assert (found["Seccomp"], found["Seccomp_filters"]) == (("0", "0") if case == "unconfined" else ("2", "1"))
    assert found["NoNewPrivs"] == "1"


def test_another_word_is_refused(rt: Runtime, wasm: Wasm) -> None:
    bundle = wasm(Program())
    bundle.config["annotations"][SWITCH] = "off"
    result = rt.run(bundle)
    assert result.rc == 1
    assert f'annotations[\\"{SWITCH}\\"]: expected \\"unconfined\\"' in result.err, result
    assert len(result.err.splitlines()) == 1


def test_a_user_namespace(rt: Runtime, wasm: Wasm) -> None:
    assert status(rt, wasm(Program().cat("proc/self/status")).user_namespace())["Seccomp"] == "2"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="measured on x86_64 only")
def test_only_what_is_listed_is_called_and_nothing_of_it_refused(wasm: Wasm) -> None:
    """Measured again: a newer engine or C library may have come."""
    command = [sys.executable, ROOT / "scripts/wasm-calls", wasm.engine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = {line.split("\t")[0] for line in done.stdout.splitlines()}
    refused = {call for call in seen if call.endswith("(refused)")}
    assert {"write", "exit_group"} <= seen
    assert refused <= {"clone3 (refused)"}
    allowed = {name for names in data.GROUPS.values() for name in names} | set(data.MORE.get(wasm.engine, ()))
    assert seen - refused <= allowed


# What belongs to the caller


def test_nothing_of_the_callers_command_is_seen(rt: Runtime, wasm: Wasm) -> None:
    """By a guest that may read what root may."""
    program = Program().cat("proc/self/environ").print("|").cat("proc/self/cmdline").print("|").cat("proc/self/comm")
    result = rt.run(wasm(program, "one", "two words"), env={"SECRET": "of the caller", "PATH": os.environ["PATH"]})
    environ, cmdline, comm = result.out.split("|")
    assert environ.strip("\0") == ""
    assert cmdline.rstrip("\0") == "/guest.wasm\0one\0two words"
    assert comm == "guest.wasm\n"


@pytest.mark.parametrize("case", ["a user", "root of a user namespace"])
def test_the_engines_memory_is_out_of_reach(rt: Runtime, wasm: Wasm, case: str) -> None:
    program = Program()
    for path in ("proc/self/mem", "proc/1/mem", "proc/2/mem", "proc/thread-self/mem", "proc/self/environ"):
        program.say(path, program.open(0, path, rights=READ | (WRITE if path.endswith("mem") else 0)))
    bundle = wasm(program)
    if case == "a user":
        bundle.process["user"] = {"uid": 1000, "gid": 1000}
    else:
        bundle.user_namespace()
    found = told(rt.run(bundle).out)
    assert {path for path, errno in found.items() if errno == 0} == set()
    assert len(found) == 5
