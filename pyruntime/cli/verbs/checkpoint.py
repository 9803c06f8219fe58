"""`checkpoint`: refused, since it is not there; the flags are read so that callers learn that and nothing else."""

from pyruntime.cli.context import Context
from pyruntime.errors import Error


def run(context: Context) -> int:
    """checkpoint ID: raises Error."""
    raise Error(f"checkpoint is not supported yet; {context.id} was left as it is")
