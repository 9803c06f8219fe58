"""Points in time, written for other programs."""

from time import gmtime, time_ns

_SECOND = 1_000_000_000


def rfc3339(ns_since_epoch: int) -> str:
    """RFC 3339 in UTC, with as many digits of the nanoseconds as are needed and none for a whole second.

    This is the form that Go calls RFC3339Nano.
    """
    seconds, rest = divmod(ns_since_epoch, _SECOND)
    at = gmtime(seconds)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return (
        f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}{fraction}Z"
    )


def now() -> str:
    """The present moment as `rfc3339` writes it."""
    return rfc3339(time_ns())
