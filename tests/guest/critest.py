"""critest, the conformance suite of the Container Runtime Interface, with pyruntime, and what fails with runc as well.

Run in the guest: `scripts/guest run python3 -m tests.guest.critest [--server N] [--focus REGEX] [--all]`.
runc is given the specs that pyruntime does not pass, or with --all all of them, below the same server. It prints counts
and each spec that one of them does not pass; the exit status is 1 if runc passes one that pyruntime does not.

The images that the suite would pull are made here: busybox under all their names, with a script in the place of nginx.
Left out are specs of what no runtime has a part in: pulling images, and NRI's plug-ins.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from tests.guest.cri import SERVERS, Server
from tests.guest.engines import program
from tests.guest.guests import PAUSE, UNTIL_TERM
from tests.guest.image import pack
from tests.system.harness import BUSYBOX, ROOT, copy_busybox, make_rootfs

SKIPPED = "Image Manager|Image Consistency|Image Identifier|Image Volume|NRI|benchmark"
E2E, STAGING = "registry.k8s.io/e2e-test-images/", "gcr.io/k8s-staging-cri-tools/"
SHELL = (E2E + "busybox:1.29-2", STAGING + "test-image-predefined-group:latest")
WEB = (E2E + "nginx:1.14-2", E2E + "httpd:2.4.39-4")
HOST_WEB = STAGING + "hostnet-nginx-amd64:latest"
SETUID = E2E + "nonewprivs:1.3"
_NGINX = """#!/bin/sh
mkdir -p /var/run /www /usr/local/apache2/htdocs
echo works > /www/index.html
echo $$ > /var/run/nginx.pid
busybox httpd -f -p $1 -h /www &
trap 'kill %1; exit 0' TERM QUIT INT
wait
"""


def make_images(folder: Path) -> "list[Path]":
    """Tars of the images, all of the same files."""
    rootfs = make_rootfs(folder / "rootfs", copy_busybox(folder))
    for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":  # not symbolic: one of them is masked alone
            (rootfs / "bin" / name).unlink(missing_ok=True)
            (rootfs / "bin" / name).hardlink_to(rootfs / "bin/busybox")
    (rootfs / "bin/ipcs").write_text("#!/bin/sh\ncat /proc/sysvipc/shm\n")
    (rootfs / "bin/ipcs").chmod(0o755)
    (rootfs / "bin/nginx").write_text(_NGINX)
    (rootfs / "bin/nginx").chmod(0o755)
    (rootfs / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
        "www-data:x:33:33::/:/bin/sh\ndefault-user:x:1000:1000::/:/bin/sh\n"
    )
    (rootfs / "etc/group").write_text("root:x:0:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n")
    (rootfs / "root").mkdir()
    found: "list[Path]" = []
    add_setuid(rootfs)
    commands = {
        PAUSE: ("sh", "-c", UNTIL_TERM),
        HOST_WEB: ("nginx", "12003"),
        SETUID: ("sh", "-c", "echo Effective uid: $(/bin/setuid-id -u)"),
    }
    commands.update(dict.fromkeys(WEB, ("nginx", "80", "master process")))  # which is looked for among its arguments
    for name in (*SHELL, *commands):
        found.append(folder / f"{len(found)}.tar")
        pack(rootfs, name, found[-1], *commands.get(name, ("sh",)))
    return found


def add_setuid(rootfs: Path) -> None:
    """id(1) with the setuid bit, which busybox gives up, and the libraries it needs."""
    found = shutil.which("id") or sys.exit("no id on PATH")
    told = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(?<=\s)/\S+", told):
        (rootfs / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, rootfs / library[1:])
    shutil.copy(found, rootfs / "bin/setuid-id")
    (rootfs / "bin/setuid-id").chmod(0o4755)


def run(server: Server, handler: str, folder: Path, focus: str, skip: str = "") -> "dict[str, str]":
    """All specs with one handler: what became of each."""
    words = ["--runtime-endpoint", f"unix://{server.socket}", "--runtime-handler", handler]
    limits = ["--ginkgo.timeout", "6h", "--ginkgo.no-color", "--ginkgo.seed", "1"]
    which = ["--ginkgo.skip", "|".join(filter(None, (SKIPPED, skip))), *(["--ginkgo.focus", focus] if focus else [])]
    config = folder / "crictl.yaml"
    config.write_text("")
    log, results = folder / f"{handler}.log", folder / f"{handler}.xml"
    command = [program("critest"), "--config", str(config), *words, *limits, *which]
    with log.open("w") as output:
        subprocess.run(
            [*command, "--ginkgo.v", "--ginkgo.junit-report", str(results)], stdout=output, stderr=output, check=False
        )
    if not results.exists():
        sys.exit(f"critest: no results of {handler}; what it said is in {log}")
    return read(results)


def read(results: Path) -> "dict[str, str]":
    """What became of each spec, from a JUnit file; not of those that were not chosen, which took no time."""
    specs = ElementTree.parse(results).iter("testcase")
    chosen = [spec for spec in specs if spec.get("name", "").startswith("[It]") and float(spec.get("time", "0"))]
    return {spec.get("name", ""): spec.get("status", "") for spec in chosen}


def pattern(specs: "list[str]") -> str:
    """A regular expression for these specs alone; what is in brackets at the end is labels."""
    names = [re.sub(r"( \[[A-Za-z:]+\])*$", "", name.removeprefix("[It] ")) for name in specs]
    return "|".join(f"{re.escape(name)}( \\[|$)" for name in names)


def report(told: "dict[str, dict[str, str]]") -> int:
    """Print the counts and what was not passed; 1 if something was by runc alone."""
    for handler, specs in told.items():
        counts = Counter(specs.values())
        print(handler, ", ".join(f"{count} {status}" for status, count in sorted(counts.items())), sep=": ")
    alone = 0
    for name in dict.fromkeys(name for specs in told.values() for name in specs):
        became = {handler: specs.get(name, "not run") for handler, specs in told.items()}
        alone += became.get("runc") == "passed" and became.get("pyruntime") != "passed"
        if {"failed", "timedout", "panicked"} & set(became.values()):
            print("; ".join(f"{handler} {what}" for handler, what in became.items()), name, sep=": ")
    return int(alone > 0)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--server", type=int, choices=(1, 2, 3), default=1, help="containerd of the system, containerd 2, CRI-O"
    )
    parser.add_argument("--focus", default="")
    parser.add_argument("--skip", default="")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    folder = asked.results or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    server = SERVERS[asked.server - 1](ROOT / "bin/pyruntime")
    server.start()
    with tempfile.TemporaryDirectory() as images:
        server.load(*make_images(Path(images)))
    told = {"pyruntime": run(server, "pyruntime", folder, asked.focus, asked.skip)}
    failed = [name for name, what in told["pyruntime"].items() if what not in ("passed", "skipped")]
    if asked.all or failed:
        which = (asked.focus, asked.skip) if asked.all else (pattern(failed), "")
        told["runc"] = run(server, "runc", folder, *which)
        if not asked.all:
            told["runc"] = {name: told["runc"][name] for name in failed if name in told["runc"]}
    server.end()
    return report(told)


if __name__ == "__main__":
    sys.exit(main())
