"""pyruntime: an OCI container runtime for Linux and WebAssembly containers.

The listing reads as a container's life: `cli` is what was asked, `config` what was written, `host` what the
machine offers, `plan` what will happen, `steps` the words a plan is written in, `walk` makes it happen,
`kernel` is the only place that calls the kernel. docs/design/architecture.md draws it.
"""
