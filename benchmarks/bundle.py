"""Bundles every candidate is measured with: what `runc spec` writes, over a root filesystem of one busybox.

The filtered one has a profile as long as those of engines: what they all allow, and everything else refused.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

APPLETS = ("true", "sleep", "sh")
ARCHITECTURES = {"x86_64": ("X86_64", "X86", "X32"), "aarch64": ("AARCH64", "ARM")}
ALLOWED = 330  # system calls; Docker's profile allows 360 or so
FOLDERS = ("bin", "dev", "etc", "proc", "sys", "tmp")


class Bundles:
    """Bundles over one root filesystem: `brief` runs true, `filtered` too with a profile, `lasting` sleeps."""

    def __init__(self, folder: str) -> None:
        self.brief = os.path.join(folder, "brief")
        self.filtered = os.path.join(folder, "filtered")
        self.lasting = os.path.join(folder, "lasting")
        self._rootfs = os.path.join(folder, "rootfs")
        self._fill_rootfs()
        os.mkdir(self.brief)
        subprocess.run(["runc", "spec"], cwd=self.brief, check=True)
        with open(os.path.join(self.brief, "config.json")) as file:
            self._config = json.load(file)
        os.mkdir(self.filtered)
        os.mkdir(self.lasting)
        self._write()

    def drop_resources(self) -> None:
        """Write the bundles anew without linux.resources, and with it the rules for devices."""
        self._config["linux"].pop("resources", None)
        self._write()

    def _fill_rootfs(self) -> None:
        for name in FOLDERS:
            os.makedirs(os.path.join(self._rootfs, name))
        binary = os.path.join(self._rootfs, "bin", "busybox")
        shutil.copy(shutil.which("busybox") or "/bin/busybox", binary)
        for name in APPLETS:
            os.link(binary, os.path.join(self._rootfs, "bin", name))

    def _write(self) -> None:
        self._config["root"]["path"] = self._rootfs
        self._config["process"]["terminal"] = False
        bundles = (
            (self.brief, ["true"], None),
            (self.filtered, ["true"], profile()),
            (self.lasting, ["sleep", "600"], None),
        )
        for folder, arguments, filtered in bundles:
            self._config["process"]["args"] = arguments
            self._config["linux"]["seccomp"] = filtered
            with open(os.path.join(folder, "config.json"), "w") as file:
                json.dump(self._config, file, indent=1)


def profile() -> "dict[str, object]":
    """A profile that allows the machine's oldest system calls on each of its architectures."""
    machine = os.uname().machine
    numbers: "dict[str, int]" = importlib.import_module(f"pyruntime.seccomp.tables.{machine}").NUMBERS
    oldest = sorted(numbers, key=lambda name: numbers[name])[:ALLOWED]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": [f"SCMP_ARCH_{name}" for name in ARCHITECTURES[machine]],
        "syscalls": [{"names": oldest, "action": "SCMP_ACT_ALLOW"}],
    }
