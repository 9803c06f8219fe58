"""config.json -> checked records. No effect but reading the file it is given.

`load.py` reads a file, `spec.py` and its neighbours say what a document holds, `validate.py` what must hold between
its parts.
"""
