"""`setup`: the lines that make an engine know us, for the version and the layout found; written, and taken back.

snippets.py  what is to be said to each engine, by version
places.py    where each engine, and each distribution of Kubernetes, wants to hear it
change.py    a change of one file that can be taken back to the byte
"""
