"""What the command line asks of a start, beside what config.json says."""


class Request:
    """Paths are absolute. `cgroups`: it gets a cgroup of its own, which with `systemd` is a unit of systemd's.

    `listen_fds` and `preserve_fds` are numbers of descriptors that follow stderr.

    `window` is the size, rows and columns, of the caller's terminal that the container's own is to match; (0, 0): none.
    `terminals` are those of 0, 1 and 2 that are a terminal of the caller, which a container must not get.
    """

    def __init__(self, container_id: str, root: str, bundle: str) -> None:
        self.container_id = container_id
        self.root = root
        self.bundle = bundle
        self.console_socket = ""
        self.pidfd_socket = ""
        self.pid_file = ""
        self.pivot = True
        self.keyring = True
        self.preserve_fds = 0
        self.listen_fds = 0
        self.barrier = True
        self.foreground = False
        self.terminals: "tuple[int, ...]" = ()
        self.window = (0, 0)
        self.cgroups = True
        self.systemd = False
        self.notify_socket = ""

    @property
    def extra_fds(self) -> int:
        """How many descriptors beyond stderr the program gets."""
        return self.listen_fds + self.preserve_fds
