"""System calls by name and number, one module for each architecture; scripts/gen-syscalls writes them."""
