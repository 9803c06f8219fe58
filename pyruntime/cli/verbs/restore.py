"""`restore`: refused, since it is not there; the flags are read so that callers learn that and nothing else."""

from pyruntime.cli.context import Context
from pyruntime.errors import Error


def run(context: Context) -> int:
    """restore ID: raises Error."""
    raise Error(f"restore is not supported yet; {context.id} was not made; create it anew: pyruntime run")
