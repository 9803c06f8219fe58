"""`step`: a container made one step at a time, with time to look between two of them.

session.py   the walk in a child process, which asks before every step; the answer is the user's
talk.py      the prompt: what may be typed at a stop, and what it does
snapshot.py  the half-made container as seen from outside, and what changed since the last stop
shell.py     a shell inside it
whatif.py    plans with one act of confinement left out, in a namespace that is thrown away
"""
