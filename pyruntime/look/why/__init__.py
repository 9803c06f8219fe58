"""What `explain BUNDLE N` tells about a step: one table, keyed by the step's class, a file for each theme of `steps/`."""

from pyruntime.look.why import devices, identity, limits, namespaces, program, record, rootfs
from pyruntime.look.why.entry import Why

TABLE: "dict[str, Why]" = {
    **record.TABLE,
    **namespaces.TABLE,
    **rootfs.TABLE,
    **devices.TABLE,
    **limits.TABLE,
    **identity.TABLE,
    **program.TABLE,
}
