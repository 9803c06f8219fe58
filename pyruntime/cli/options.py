"""The one option table: every word the command line knows.

`grammar` parses by it and `help` prints from it, so a flag that is not here does not exist. Names are those that
container engines pass; kinds say what follows a flag:

    BOOL      nothing, or `=true|false`
    STRING    any text
    INT       a whole number
    LIST      any text, once for every time the flag is given
    DURATION  seconds, written as `1m30s`
    SIZE      bytes, written as `64m`; -1 means no limit
"""

BOOL, STRING, INT, LIST, DURATION, SIZE = "bool", "string", "int", "list", "duration", "size"

OCI, LOOK = "OCI commands", "Look inside"
GROUPS = (OCI, LOOK)


class Option:
    """One flag: `--name`, in short `-short`. `default` is text, read as the user's would be; None is none."""

    __slots__ = ("default", "help", "hidden", "kind", "metavar", "name", "short")

    def __init__(
        self,
        name: str,
        short: str,
        kind: str,
        metavar: str,
        help: str,
        default: "str | None" = None,
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.metavar = metavar
        self.help = help
        self.default = default
        self.hidden = hidden


class Verb:
    """One command. It takes `least` to `most` arguments (None: no limit) and belongs to a group, or to none ("").

    `stops` means that flags end at the first argument, so that what follows may have flags of its own.
    """

    __slots__ = ("about", "example", "group", "least", "most", "name", "options", "stops", "summary", "usage")

    def __init__(
        self,
        name: str,
        usage: str,
        summary: str,
        about: str,
        example: str,
        options: "tuple[Option, ...]" = (),
        group: str = OCI,
        least: int = 1,
        most: "int | None" = 1,
        stops: bool = False,
    ) -> None:
        self.name = name
        self.usage = usage
        self.summary = summary
        self.about = about
        self.example = example
        self.options = options
        self.group = group
        self.least = least
        self.most = most
        self.stops = stops


HELP = Option("help", "h", BOOL, "", "show this help")

GLOBALS = (
    Option("root", "", STRING, "DIR", "keep the state of containers in DIR (default: /run/pyruntime)"),
    Option("log", "", STRING, "FILE", "append log lines to FILE, or send them to journald:NAME or syslog:NAME"),
    Option("log-format", "", STRING, "FORMAT", "how log lines are written: text or json", "text"),
    Option("log-level", "", STRING, "LEVEL", "least level that is logged: debug, info, warning or error"),
    Option("debug", "", BOOL, "", "log debug lines too, one for every step"),
    Option("systemd-cgroup", "", BOOL, "", "let systemd make cgroups; cgroupsPath is then slice:prefix:name"),
    Option("cgroup-manager", "", STRING, "NAME", "who makes cgroups: cgroupfs, systemd or disabled"),
    Option("rootless", "", STRING, "WHEN", "go on without cgroup permissions: true, false or auto", "auto"),
    Option("trace", "", STRING, "FILE", "add where the time goes to FILE: a page if it ends in .html, else JSON"),
    Option("criu", "", STRING, "PATH", "accepted and ignored", hidden=True),
    Option("version", "v", BOOL, "", "show version, commit and specification"),
    HELP,
)

_BUNDLE = Option("bundle", "b", STRING, "DIR", "bundle directory, which holds config.json (default: .)")
_CONSOLE = Option("console-socket", "", STRING, "PATH", "unix socket that receives the terminal's master end")
_PIDFD = Option("pidfd-socket", "", STRING, "PATH", "unix socket that receives a pidfd of the process")
_PID_FILE = Option("pid-file", "", STRING, "FILE", "write the pid of the process to FILE")
_PRESERVE = Option("preserve-fds", "", INT, "N", "pass on N descriptors beyond stdio and LISTEN_FDS", "0")
_NO_PIVOT = Option("no-pivot", "", BOOL, "", "move the root with MS_MOVE and chroot, for a rootfs on an initramfs")
_NO_SUBREAPER = Option("no-subreaper", "", BOOL, "", "do not become the reaper of orphaned processes")
_DETACH = Option("detach", "d", BOOL, "", "return as soon as the process runs")
_FORMAT = Option("format", "f", STRING, "FORMAT", "table or json", "table")
_REGEX = Option("regex", "r", BOOL, "", "take ID as a regular expression, for every container that it matches")

_CREATE = (
    _BUNDLE,
    Option("config", "f", STRING, "FILE", "read FILE in place of the bundle's config.json"),
    _CONSOLE,
    _PIDFD,
    _PID_FILE,
    _NO_PIVOT,
    Option("no-new-keyring", "", BOOL, "", "keep the caller's session keyring"),
    _PRESERVE,
    _NO_SUBREAPER,
)

_RUN = (
    *_CREATE,
    _DETACH,
    Option("keep", "", BOOL, "", "do not delete the container when its process ends"),
)

_EXEC = (
    Option("process", "p", STRING, "FILE", "take the whole process from FILE, a JSON process object"),
    Option("cwd", "", STRING, "DIR", "working directory inside the container"),
    Option("env", "e", LIST, "NAME=VALUE", "add an environment variable; repeatable"),
    Option("tty", "t", BOOL, "", "give the process a terminal"),
    Option("user", "u", STRING, "UID[:GID]", "numeric user, and group, inside the container"),
    Option("additional-gids", "g", LIST, "GID", "add a supplementary group; repeatable"),
    Option("cap", "c", LIST, "CAP", "add a capability; repeatable"),
    Option("no-new-privs", "", BOOL, "", "set no_new_privs, so that set-user-ID programs gain nothing"),
    Option("process-label", "", STRING, "LABEL", "SELinux label of the process"),
    Option("apparmor", "", STRING, "PROFILE", "AppArmor profile of the process"),
    Option("cgroup", "", LIST, "PATH", "run in this cgroup below the container's own; repeatable"),
    Option("ignore-paused", "", BOOL, "", "also in a paused container: the process runs after resume"),
    _DETACH,
    _PID_FILE,
    _CONSOLE,
    _PIDFD,
    _PRESERVE,
)

_UPDATE = (
    Option("resources", "r", STRING, "FILE", "read linux.resources as JSON from FILE (-: stdin); no other flag counts"),
    Option("memory", "", SIZE, "SIZE", "memory.max: most memory"),
    Option("memory-reservation", "", SIZE, "SIZE", "memory.low: memory that is reclaimed last"),
    Option("memory-swap", "", SIZE, "SIZE", "most memory and swap together; -1 for no limit"),
    Option("pids-limit", "", INT, "N", "pids.max: most tasks; -1 for no limit"),
    Option("cpu-quota", "", INT, "USEC", "cpu.max: time in each period; -1 for no limit"),
    Option("cpu-period", "", INT, "USEC", "cpu.max: length of the period"),
    Option("cpu-burst", "", INT, "USEC", "cpu.max.burst: unused time that may be saved up"),
    Option("cpu-share", "", INT, "N", "CPU shares against siblings, 2 to 262144"),
    Option("cpu-idle", "", INT, "0|1", "cpu.idle: 1 runs only when nothing else wants to"),
    Option("cpu-rt-period", "", INT, "USEC", "period of realtime scheduling"),
    Option("cpu-rt-runtime", "", INT, "USEC", "realtime CPU time in each period"),
    Option("cpuset-cpus", "", STRING, "LIST", "CPUs to run on, as in 0-3,7"),
    Option("cpuset-mems", "", STRING, "LIST", "memory nodes to allocate from"),
    Option("blkio-weight", "", INT, "N", "block I/O weight, 10 to 1000"),
    Option("l3-cache-schema", "", STRING, "SCHEMA", "L3 cache of the container's own resctrl group"),
    Option("mem-bw-schema", "", STRING, "SCHEMA", "memory bandwidth of the same"),
    Option("kernel-memory", "", SIZE, "SIZE", "accepted and ignored", hidden=True),
    Option("kernel-memory-tcp", "", SIZE, "SIZE", "accepted and ignored", hidden=True),
)

_IMAGES = (
    Option("image-path", "", STRING, "DIR", "directory of the image files", "./checkpoint"),
    Option("work-path", "", STRING, "DIR", "directory of logs and work files"),
    Option("tcp-established", "", BOOL, "", "allow established TCP connections"),
    Option("ext-unix-sk", "", BOOL, "", "allow unix sockets with a peer outside"),
    Option("shell-job", "", BOOL, "", "allow a process that hangs on a terminal from outside"),
    Option("file-locks", "", BOOL, "", "allow file locks"),
    Option("lazy-pages", "", BOOL, "", "bring memory pages over on demand"),
    Option("manage-cgroups-mode", "", STRING, "MODE", "treatment of cgroups: soft, full, strict or ignore"),
    Option("empty-ns", "", LIST, "TYPE", "make this namespace anew and empty; repeatable"),
    Option("auto-dedup", "", BOOL, "", "free the image's memory pages as they are read"),
    Option("network-lock", "", STRING, "METHOD", "how packets are held back: iptables, nftables or skip"),
)

_CHECKPOINT = (
    *_IMAGES,
    Option("parent-path", "", STRING, "DIR", "earlier pre-dump, relative to the image path"),
    Option("leave-running", "", BOOL, "", "let the container run on"),
    Option("tcp-skip-in-flight", "", BOOL, "", "leave out TCP connections that are being set up"),
    Option("link-remap", "", BOOL, "", "link deleted files back while they are open"),
    Option("status-fd", "", INT, "N", "write to descriptor N when lazy pages can be served"),
    Option("page-server", "", STRING, "ADDR:PORT", "send memory pages to a page server"),
    Option("pre-dump", "", BOOL, "", "dump memory only and let the container run on"),
)

_RESTORE = (
    *_IMAGES,
    _BUNDLE,
    _CONSOLE,
    _PID_FILE,
    _DETACH,
    _NO_SUBREAPER,
    _NO_PIVOT,
    Option("no-new-keyring", "", BOOL, "", "accepted and ignored", hidden=True),
    _PRESERVE,
    Option("tcp-close", "", BOOL, "", "close the TCP connections that were established"),
    Option("lsm-profile", "", STRING, "TYPE:NAME", "security profile of the restored process"),
    Option("lsm-mount-context", "", STRING, "CONTEXT", "SELinux context of the restored mounts"),
)

_VERBS = (
    Verb(
        "create",
        "ID",
        "make a container, ready to start",
        "Makes the container that the bundle's config.json describes. Its process waits until `start`.",
        "create --bundle /srv/box box1",
        _CREATE,
    ),
    Verb(
        "start",
        "ID",
        "start the process of a created container",
        "Lets the process that `create` prepared execute the program of config.json.",
        "start box1",
    ),
    Verb(
        "run",
        "ID",
        "create and start, then wait and delete",
        "In the foreground the exit status is that of the container's process, 128+N if signal N ended it. A folder "
        "with a config.json may be named in place of the ID: it is the bundle then, and its name the ID.",
        "run --bundle /srv/box box1",
        _RUN,
    ),
    Verb(
        "state",
        "ID",
        "show a container's state as JSON",
        "The status is found out now, not remembered: created, running, paused or stopped.",
        "state box1",
    ),
    Verb(
        "kill",
        "ID [SIGNAL]",
        "send a signal to a container's process",
        "SIGNAL is a number or a name, with or without SIG; TERM if not given.",
        "kill box1 KILL",
        (Option("all", "a", BOOL, "", "accept a stopped container as well", hidden=True), _REGEX),
        most=2,
        stops=True,
    ),
    Verb(
        "delete",
        "ID",
        "remove a stopped container",
        "Removes the cgroup and the state of a container. The bundle is left as it is.",
        "delete --force box1",
        (Option("force", "f", BOOL, "", "kill it first if it runs; an unknown ID is no error"), _REGEX),
    ),
    Verb(
        "exec",
        "ID COMMAND [ARGUMENT...]",
        "run another process in a container",
        "Flags go before ID; what follows it belongs to COMMAND. With --process, only ID is given. In the foreground "
        "the exit status is that of the command, and 255 if it could not be run.",
        "exec --tty box1 sh",
        _EXEC,
        most=None,
        stops=True,
    ),
    Verb(
        "list",
        "",
        "list the containers below --root",
        "Shows every container whose state is kept below --root.",
        "list --format json",
        (_FORMAT, Option("quiet", "q", BOOL, "", "show nothing but the ids")),
        least=0,
        most=0,
    ),
    Verb(
        "ps",
        "ID [PS-OPTION...]",
        "list the processes of a container",
        "PS-OPTIONs are handed to the host's ps; -ef if there are none.",
        "ps box1 -o pid,comm",
        (_FORMAT,),
        most=None,
        stops=True,
    ),
    Verb(
        "pause",
        "ID",
        "freeze every process of a container",
        "Freezes the container's cgroup until `resume`.",
        "pause box1",
    ),
    Verb(
        "resume",
        "ID",
        "let a paused container go on",
        "Thaws the container's cgroup.",
        "resume box1",
    ),
    Verb(
        "events",
        "ID",
        "report statistics and out-of-memory events",
        "Prints one JSON object a line, until the container ends.",
        "events --stats box1",
        (
            Option("interval", "", DURATION, "TIME", "time between two reports, as in 1m30s", "5s"),
            Option("stats", "", BOOL, "", "report once, then end"),
        ),
    ),
    Verb(
        "update",
        "ID",
        "change a container's resource limits",
        "Limits that are not named keep their value. Sizes are bytes, or end in k, m, g or t: 64m is 67108864.",
        "update --memory 64m --pids-limit 100 box1",
        _UPDATE,
    ),
    Verb(
        "spec",
        "[ARGUMENT...]",
        "write a config.json to begin with",
        "Never replaces a file that is there. With --wasm, --busybox, --rootfs or --oci-layout the bundle is ready to "
        "run. ARGUMENTs are the program and its words, with --wasm what FILE is handed; write -- before one that "
        "begins with a dash.",
        "spec --bundle /srv/box",
        (
            _BUNDLE,
            Option("file", "f", STRING, "FILE", "write to FILE (default: config.json in the bundle)"),
            Option("rootless", "", BOOL, "", "for use without root: a user namespace, no limits"),
            Option("wasm", "", STRING, "FILE", "make a bundle that runs FILE, a WebAssembly program"),
            Option("busybox", "", BOOL, "", "make a rootfs of the host's static busybox"),
            Option("rootfs", "", STRING, "DIR", "take DIR as the root file system, where it is"),
            Option("oci-layout", "", STRING, "DIR[:TAG]", "unpack an image, as skopeo copies it to oci:DIR:TAG"),
            Option("memory", "", SIZE, "SIZE", "most memory, as in 64m"),
            Option("cpus", "", STRING, "N", "CPU time of so many CPUs, as in 0.5"),
            Option("pids", "", INT, "N", "most processes and threads"),
            Option("set", "", LIST, "PATH=VALUE", "set any value of config.json; VALUE is JSON or a text"),
        ),
        least=0,
        most=None,
    ),
    Verb(
        "features",
        "",
        "show what is implemented, as JSON",
        "Needs neither root nor a container.",
        "features",
        least=0,
        most=0,
    ),
    Verb(
        "checkpoint",
        "ID",
        "save a running container (not supported yet)",
        "Reads its flags and then refuses.",
        "checkpoint --image-path /srv/image box1",
        _CHECKPOINT,
    ),
    Verb(
        "restore",
        "ID",
        "bring a saved container back (not supported yet)",
        "Reads its flags and then refuses.",
        "restore --image-path /srv/image --bundle /srv/box box1",
        _RESTORE,
    ),
    Verb(
        "explain",
        "[BUNDLE] [STEP]",
        "show the steps that would make a container",
        "Runs nothing and needs no root. With the number of a step, tells about that step alone.",
        "explain /srv/box 12",
        (
            _BUNDLE,
            Option("json", "", BOOL, "", "print JSON"),
            Option("verbose", "v", BOOL, "", "show the system calls too"),
        ),
        group=LOOK,
        least=0,
        most=2,
    ),
    Verb(
        "step",
        "BUNDLE ID",
        "make a container step by step, looking in between",
        "Stops before every step of the plan: look at the half-made container, open a shell in it, read why the step "
        "is there, go on, or quit, which takes everything back.",
        "step /srv/box box1",
        (
            Option("auto", "", BOOL, "", "do every step, and show what each changed; needs no terminal"),
            Option("script", "", STRING, "FILE", "take what would be typed from FILE, a line a stop; then go on"),
            Option("what-if", "", STRING, "WHAT", "leave out: skip-private, chroot, no-proc or no-pids-limit"),
        ),
        group=LOOK,
        least=2,
        most=2,
    ),
    Verb(
        "check",
        "[BUNDLE]",
        "find mistakes in a bundle's configuration",
        "Tells every error, and what is allowed and hardly meant: misspelt keys and names, settings without effect. "
        "Runs nothing and needs no root. The exit status is 1 if there is an error or a warning.",
        "check /srv/box",
        (
            _BUNDLE,
            Option("config", "f", STRING, "FILE", "check FILE alone: no bundle is looked for around it"),
            Option("json", "", BOOL, "", "print JSON"),
        ),
        group=LOOK,
        least=0,
    ),
    Verb(
        "inspect",
        "[ID]",
        "show what a container is confined by",
        "Namespaces, users, limits against use, capabilities, system call filter, mounts, as the kernel has them now. "
        "Nothing is entered, traced or changed.",
        "inspect --against host box1",
        (
            Option("pid", "p", INT, "PID", "show this process, and which container it is in"),
            Option("against", "", STRING, "ID", "compare with another container, or with the word host"),
            Option("watch", "w", BOOL, "", "show it again and again, until the process is gone"),
            Option("interval", "", DURATION, "TIME", "time between two looks when watching", "1s"),
            Option("json", "", BOOL, "", "print JSON"),
        ),
        group=LOOK,
        least=0,
    ),
    Verb(
        "doctor",
        "",
        "tell what this host lacks, and what to do about it",
        "Every line was looked up, none is guessed. The exit status is 0 when every need is met, 1 when one is not, "
        "2 when one could not be looked at.",
        "doctor --for rootless",
        (
            Option("for", "", STRING, "NAME", "docker, containerd, podman, crio, k8s, rootless or wasm"),
            Option("bundle", "b", STRING, "DIR", "look at the file system of this folder too"),
            Option("json", "", BOOL, "", "print JSON"),
        ),
        group=LOOK,
        least=0,
        most=0,
    ),
    Verb(
        "setup",
        "ENGINE",
        "show how to make an engine use pyruntime, or do it",
        "ENGINE is docker, containerd, podman, crio, or k8s for a RuntimeClass. The configuration of the version and "
        "distribution found is shown, or written, and can be taken back to the byte. Engines are restarted by hand.",
        "setup --write containerd",
        (
            Option("write", "", BOOL, "", "write it"),
            Option("undo", "", BOOL, "", "take back what was written"),
            Option("host", "", STRING, "DIR", "the host's root, where it is mounted in a container"),
            Option("program", "", STRING, "PATH", "our path as the engine sees it (default: where PATH finds us)"),
        ),
        group=LOOK,
    ),
    Verb(
        "wasm",
        "engines | cache list|prune|warm [FILE...]",
        "show Wasm engines, and the compiled modules that are kept",
        "`engines` tells what each engine can do, or why it is absent. Compiled modules are kept for the next start, "
        "the least recently used ones go first: `cache list` shows them, `cache prune` removes them down to --size, "
        "`cache warm` compiles each FILE ahead of its first container.",
        "wasm cache warm /srv/box/rootfs/hello.wasm",
        (
            Option("json", "", BOOL, "", "print JSON (engines and cache list)"),
            Option("size", "", SIZE, "BYTES", "keep at most so many bytes (cache prune; default: 1g)"),
            Option("engine", "", STRING, "NAME", "compile for this engine (cache warm; default: the first there is)"),
            Option("annotation", "", LIST, "NAME=VALUE", "compile as for a container with this (cache warm)"),
        ),
        group=LOOK,
        most=None,
    ),
    Verb(
        "help",
        "[COMMAND]",
        "show help, for all or for one command",
        "The same as --help.",
        "help run",
        group="",
        least=0,
    ),
)

VERBS = {verb.name: verb for verb in _VERBS}
