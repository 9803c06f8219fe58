"""Our own files, security modules and Wasm engines."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyruntime.engine.engines import Answer
from pyruntime.engine.wasmtime import Wasmtime
from pyruntime.look.doctor import install, security, wasm
from pyruntime.look.doctor.verdict import FAIL, OK, UNKNOWN, WARN
from tests.look.doctor.facts import Host, levels, only

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.root
def test_who_may_change_the_launcher(host: Host) -> None:
    """Its folders count too; the fix, as often as it is given, comes to an end."""
    for folder in host.root.parents:
        if install._others_may_write(str(folder)):
            pytest.skip(f"{folder} is not root's alone")
    assert only(install.launcher()).level == OK
    (host.bin / "pyruntime").chmod(0o775)
    os.chown(host.bin, 1000, 0)
    for _ in range(2):
        found = only(install.launcher())
        assert found.level == FAIL
        subprocess.run(["sh", "-c", found.fix], env={"PATH": "/usr/bin:/bin"}, check=True, timeout=10)
    assert only(install.launcher()).level == OK


@pytest.mark.parametrize("home", ["/home/me/.local/bin", "/root/.local/bin"])
def test_a_launcher_that_daemons_do_not_see(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setattr(sys, "argv", [f"{home}/pyruntime"])
    monkeypatch.setattr(install, "_others_may_write", lambda _: False)
    found = only(install.launcher())
    assert (found.level, "--global" in found.fix) == (WARN, True)
    assert "daemons" in found.text


def test_packs_and_the_fix_for_them(tmp_path: Path) -> None:
    """In a copy of the package: stale, then by the printed command fresh."""
    shutil.copytree(ROOT / "pyruntime", tmp_path / "pyruntime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", tmp_path / "pyruntime"], check=True, timeout=120)
    command = ["/usr/bin/python3", "-IBSXutf8", str(tmp_path / "bin/pyruntime"), "doctor"]

    def told() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    found = re.search(r"^warn  no fresh pack of compiled code.*\n(?: +(?!fix).*\n)* +fix: (.*)$", told(), re.MULTILINE)
    assert found is not None
    subprocess.run(shlex.split(found[1]), check=True, timeout=120)
    assert "ok    compiled code: packs are fresh" in told()


def test_seccomp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(security.seccomp()).level == OK
    monkeypatch.setattr(security, "_ACTIONS", str(tmp_path / "none"))
    found = only(security.seccomp())
    assert (found.level, "CONFIG_SECCOMP_FILTER" in found.fix) == (FAIL, True)


@pytest.mark.parametrize("apparmor", [True, False])
def test_security_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apparmor: bool) -> None:
    monkeypatch.setattr(security.lsm, "apparmor_on", lambda: apparmor)
    monkeypatch.setattr(security.lsm, "selinux_on", lambda: False)
    monkeypatch.setattr(security, "_LOADED", str(tmp_path / "lsm"))
    assert "modules: not listed" in only(security.modules()).text
    (tmp_path / "lsm").write_text("lockdown,yama\n")
    found = only(security.modules())
    assert found.level == OK
    assert found.text.endswith(f"lockdown,yama; in force: {'AppArmor' if apparmor else 'neither AppArmor nor SELinux'}")
    monkeypatch.setattr(security, "_SYSFS", str(tmp_path / "none"))
    assert only(security.modules()).level == UNKNOWN


def test_engines_of_wasm(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Answer("wasmtime", "", None, "engine wasmtime: not there")
    monkeypatch.setattr(wasm.engines, "survey", lambda: [absent, absent])
    assert levels(wasm.found()) == [WARN, WARN, FAIL]
    assert levels(wasm.optional()) == [WARN, WARN, WARN]
    able = Answer("wasmtime", "50.0.1", Wasmtime().abilities())
    monkeypatch.setattr(wasm.engines, "survey", lambda: [able, absent])
    assert levels(wasm.found()) == [OK, OK]
