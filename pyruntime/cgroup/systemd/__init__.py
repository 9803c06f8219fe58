"""Cgroups made by systemd: names of units, their properties, a few calls on D-Bus. Loaded for --systemd-cgroup."""
