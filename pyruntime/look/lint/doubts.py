"""Settings that are allowed and hardly ever meant. None of them is written by a container engine."""

from collections.abc import Iterator

from pyruntime.cgroup.devices import unknown_letters
from pyruntime.config.checks import quoted
from pyruntime.config.process import Process
from pyruntime.config.spec import Config
from pyruntime.look.lint import finding
from pyruntime.look.lint.finding import Finding
from pyruntime.pathtext import DEFAULT_PATH

_LEAST_MEMORY = 1 << 20  # bytes: less than any program needs to start, and what "64" was meant as megabytes comes to
_CONTRARY = (("ro", "rw"), ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"), ("bind", "rbind"))


def read(config: Config) -> "Iterator[Finding]":
    """Doubts about a configuration that is sound."""
    if config.process is not None:
        yield from _process(config.process)
    yield from _namespaces(config)
    yield from _limits(config)
    yield from _mounts(config)


def _process(process: Process) -> "Iterator[Finding]":
    for name in ("uid", "gid") if process.given("user") else ():
        if not process.user.given(name):
            yield finding.warning(f"process.user.{name}", "missing, taken as 0; the specification wants it written")
    if len(process.args) == 1 and " " in process.args[0].strip():
        words = ", ".join(quoted(word) for word in process.args[0].split())
        yield finding.warning("process.args[0]", f"one word with blanks; each word is an element: [{words}]")
    elif not any("/" in word for word in process.args[:1]) and not any(e.startswith("PATH=") for e in process.env):
        yield finding.note("process.env", f"no PATH; {quoted(process.args[0])} is looked for in {DEFAULT_PATH}")
    sets = process.capabilities
    if sets is not None:
        for index, name in enumerate(sets.ambient):
            if name not in sets.permitted or name not in sets.inheritable:
                where = f"process.capabilities.ambient[{index}]"
                lacking = "permitted" if name not in sets.permitted else "inheritable"
                # what runc and crun write as a sample lacks the second, and is none the weaker for it
                say = finding.note if lacking == "inheritable" else finding.warning
                yield say(where, f"{name} is not {lacking} as well, so the kernel won't raise it")


def _namespaces(config: Config) -> "Iterator[Finding]":
    kinds = {namespace.type for namespace in config.linux.namespaces}
    if not kinds:
        yield finding.note("linux.namespaces", "none: the process sees the host's processes, mounts and network")
    elif "mount" not in kinds:
        yield finding.warning("linux.namespaces", 'no {"type": "mount"}: what is mounted is mounted on the host')
    if config.linux.namespace("user") is None and (config.linux.uidMappings or config.linux.gidMappings):
        where = "linux.uidMappings" if config.linux.uidMappings else "linux.gidMappings"
        yield finding.warning(where, 'no effect without {"type": "user"} in linux.namespaces')


def _limits(config: Config) -> "Iterator[Finding]":
    resources = config.linux.resources
    for where, problem in unknown_letters(resources.devices) if resources else ():
        yield finding.warning(where, problem)
    memory = resources.memory if resources else None
    if memory is None:
        return
    for name in ("limit", "reservation", "swap"):
        value = getattr(memory, name)
        if value is not None and 0 < value < _LEAST_MEMORY:
            where, meant = f"linux.resources.memory.{name}", value << 20
            yield finding.warning(where, f"{value} bytes; for {value} MiB write {meant}")


def _mounts(config: Config) -> "Iterator[Finding]":
    for index, mount in enumerate(config.mounts):
        hidden = mount.destination.rstrip("/") + "/"
        for earlier in range(index):
            if config.mounts[earlier].destination.startswith(hidden):
                hides = f"{mount.destination} hides mounts[{earlier}], {config.mounts[earlier].destination}"
                yield finding.warning(f"mounts[{index}].destination", f"{hides}; put it before that")
                break
        for one, other in _CONTRARY:
            if one in mount.options and other in mount.options:
                yield finding.warning(f"mounts[{index}].options", f'both "{one}" and "{other}"; the last one counts')
