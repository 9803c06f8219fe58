"""The cgroup v2 tree: paths, values, limits, freeze, kill, statistics and the device program.

`tree` finds where, `values` says what to write, `fs` makes and limits, `life` is what the short verbs need,
`devices` and `guard` are the device program; `update`, `stats` and `oom` serve the verbs of those names.
"""
