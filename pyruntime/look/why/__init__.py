"""What `explain` tells about a step: one table, keyed by the step's class; its files are the themes of `steps/`."""

from pyruntime.look.why import devices, identity, limits, lsm, namespaces, program, record, rootfs, stdio, wasm
from pyruntime.look.why.entry import Why

TABLE: "dict[str, Why]" = {
    **record.TABLE,
    **namespaces.TABLE,
    **rootfs.TABLE,
    **devices.TABLE,
    **limits.TABLE,
    **lsm.TABLE,
    **identity.TABLE,
    **stdio.TABLE,
    **program.TABLE,
    **wasm.TABLE,
}
