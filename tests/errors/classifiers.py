"""How engines sort a runtime's one line of error: phrases, looked for in a fixed order, whatever the line is about.

Docker makes exit statuses of `create` and `exec` of them, Podman of the same and of `run`; containerd and CRI-O take
some for the answer that a container has gone.
"""

import re

DOCKER = (
    ("permission denied", 126),
    ("is a directory", 126),
    ("not a directory", 127),  # and a hint that a file may have been mounted on a folder
    ("executable file not found", 127),
    ("no such file or directory", 127),
    ("system cannot find the file specified", 127),
    ("failed to run runc create/exec call", 127),
)
DOCKER_ELSE = 128
PODMAN = (
    ("permission denied", 126),
    ("operation not permitted", 126),
    ("executable file not found in", 127),
    ("no such file or directory", 127),
    ("open executable", 127),
)
PODMAN_LABEL = re.compile(r"`/proc/[a-z0-9-].+/attr.*`")
PODMAN_RUN = (("not found", 127), ("no such file", 127), ("executable path is empty", 127))
PODMAN_ELSE = 126
GONE = ("does not exist", "container not running", "no such process", "process already finished", "invalid process")


def _first(text: str, table: "tuple[tuple[str, int], ...]") -> int:
    return next((status for phrase, status in table if phrase in text.lower()), 0)


def docker(text: str) -> int:
    """The exit status that Docker notes for a container whose runtime said this."""
    return _first(text, DOCKER) or DOCKER_ELSE


def podman(text: str) -> int:
    """The exit status of `podman run`."""
    return _first(text, PODMAN) or (0 if PODMAN_LABEL.search(text) else _first(text, PODMAN_RUN)) or PODMAN_ELSE


def gone(text: str) -> bool:
    """Whether kill or delete count as done."""
    return any(phrase in text.lower() for phrase in GONE)


def kind(text: str) -> "tuple[int, int, bool]":
    """All three answers."""
    return docker(text), podman(text), gone(text)


DENIED = (126, 126, False)
ABSENT = (127, 127, False)
CROOKED = (127, 126, False)  # "not a directory"
NO_CONTAINER = (128, 126, True)
OTHER = (128, 126, False)
