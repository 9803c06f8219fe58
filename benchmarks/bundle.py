"""Bundles every candidate is measured with: what `runc spec` writes, over a root filesystem of one busybox."""

import json
import os
import shutil
import subprocess

APPLETS = ("true", "sleep", "sh")
FOLDERS = ("bin", "dev", "etc", "proc", "sys", "tmp")


class Bundles:
    """Two bundles over one root filesystem: `brief` runs true, `lasting` sleeps."""

    def __init__(self, folder: str) -> None:
        self.brief = os.path.join(folder, "brief")
        self.lasting = os.path.join(folder, "lasting")
        self._rootfs = os.path.join(folder, "rootfs")
        self._fill_rootfs()
        os.mkdir(self.brief)
        subprocess.run(["runc", "spec"], cwd=self.brief, check=True)
        with open(os.path.join(self.brief, "config.json")) as file:
            self._config = json.load(file)
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
        for folder, arguments in ((self.brief, ["true"]), (self.lasting, ["sleep", "600"])):
            self._config["process"]["args"] = arguments
            with open(os.path.join(folder, "config.json"), "w") as file:
                json.dump(self._config, file, indent=1)
