"""Rules for `linux.sysctl`: only settings that belong to a namespace of the container's own."""

from pyruntime.config.checks import quoted
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError

_IPC = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)


def canonical(name: str) -> str:
    """A sysctl's name with dots between its parts, as sysctl(8) reads it: whichever of "." and "/" comes first
    separates, the other is a letter (`net/ipv4/conf/eth0.1/forwarding` becomes `net.ipv4.conf.eth0/1.forwarding`).
    """
    dot, slash = name.find("."), name.find("/")
    if slash == -1 or -1 < dot < slash:
        return name
    return name.translate({46: "/", 47: "."})


def owner(name: str) -> str:
    """The type of the namespace that a canonical name belongs to, "" when to none."""
    if name in _IPC or name.startswith("fs.mqueue."):
        return "ipc"
    if name == "kernel.domainname":
        return "uts"
    head = name.partition(".")[0]
    return {"net": "network", "user": "user"}.get(head, "") if head != name else ""


def sysctls(config: Config) -> None:
    """Names are well formed, and their namespace is not the host's."""
    for key in config.linux.sysctl:
        where, name = f"linux.sysctl[{quoted(key)}]", canonical(key)
        if any(part in ("", "/", "//") for part in name.split(".")):
            raise ConfigError(where, 'expected a name such as "net.ipv4.ip_forward"')
        if name == "kernel.hostname":
            raise ConfigError(where, f'sysctl {quoted(key)} conflicts with "hostname": set that instead')
        kind = owner(name)
        if not kind:
            raise ConfigError(where, f"sysctl {quoted(key)} is not in a separate kernel namespace; remove it")
        if config.linux.namespace(kind) is None:
            problem = f"sysctl {quoted(key)} is not in a separate kernel namespace"
            raise ConfigError(where, f'{problem}: add {{"type": "{kind}"}} to linux.namespaces')


RULES = (sysctls,)
