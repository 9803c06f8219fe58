"""`check`: what is wrong with a configuration, and what was probably meant.

    finding.py   what is found: a level, a path, a sentence
    schema.py    the document against the records of `pyruntime.config`: unknown keys, wrong types, missing keys
    words.py     names inside values: capabilities, mount options, system calls, sysctls, annotations
    doubts.py    settings that are allowed and hardly ever meant
    places.py    the line of the file at which a path stands
    lint.py      all of it, for a document or a bundle
    show.py      the findings as lines and as JSON

The rules that `create` refuses by are `create`'s own: `pyruntime.config.validate` and the planning of a container.
"""
