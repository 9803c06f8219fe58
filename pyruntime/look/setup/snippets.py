"""What is to be said to each engine. `program` is the path of our launcher as the engine will see it."""

from pyruntime.report.jsonout import quote

_POD_ANNOTATIONS = '["run.oci.handler", "module.wasm.image/*", "pyruntime.wasm.*"]'
CRI = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}  # the plugin, by version of the file


def docker(program: str) -> "dict[str, object]":
    """The entry of daemon.json's `runtimes`; dockerd itself asks for the cgroup driver that it uses."""
    return {"path": program}


def containerd(program: str, version: int, with_runc: bool = False, systemd: bool = True) -> str:
    """The runtime's tables in configuration version 2 (containerd 1.x) or 3 (2.x).

    In version 2 a table of runtimes replaces the default one, which is runc's: `with_runc` names it again. `systemd`:
    the host has it, and the kubelet's default is to let it make cgroups.
    """
    mark = '"' if version == 2 else "'"  # as each version writes its own files
    table = f"[plugins.{mark}{CRI[version]}{mark}.containerd.runtimes"
    runc = f'{table}.runc]\n  runtime_type = "io.containerd.runc.v2"\n\n' if with_runc else ""
    return (
        f'{runc}{table}.pyruntime]\n  runtime_type = "io.containerd.runc.v2"\n'
        f"  pod_annotations = {_POD_ANNOTATIONS}\n\n{table}.pyruntime.options]\n"
        f"  BinaryName = {quote(program)}\n  SystemdCgroup = {str(systemd).lower()}\n"
    )


def crio(program: str) -> str:
    """A file of crio.conf.d."""
    return (
        f"[crio.runtime.runtimes.pyruntime]\nruntime_path = {quote(program)}\n"
        'runtime_type = "oci"\nruntime_root = "/run/pyruntime-crio"\n'
        'allowed_annotations = ["run.oci.", "module.wasm.image/variant", "pyruntime.wasm."]\n'
    )


def podman(program: str) -> str:
    """A file of containers.conf.d: a runtime by name, whose log lines Podman can read, and that runs Wasm images."""
    return (
        '[engine]\nruntime_supports_json = ["crun", "runc", "kata", "runsc", "youki", "krun", "pyruntime"]\n\n'
        f"[engine.runtimes]\npyruntime = [{quote(program)}]\n\n"
        '[engine.platform_to_oci_runtime]\n"wasi/wasm" = "pyruntime"\n"wasi/wasm32" = "pyruntime"\n'
        '"wasi/wasm64" = "pyruntime"\n'
    )


RUNTIME_CLASS = """\
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: pyruntime
handler: pyruntime
scheduling:
  nodeSelector:
    pyruntime-ready: "true"
"""
