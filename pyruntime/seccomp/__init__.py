"""`linux.seccomp` as a program of classic BPF; docs/design/seccomp.md."""
