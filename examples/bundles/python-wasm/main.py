"""Shows what a program inside a Wasm container sees."""

import os
import sys

print("python", sys.version.split()[0], "on", sys.platform)
print("arguments  ", sys.argv)
print("environment", dict(os.environ))
print("files in / ", sorted(os.listdir("/")))
