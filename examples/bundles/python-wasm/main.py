"""Shows what a program inside a Wasm container sees."""

import os
import sys

print("python", sys.version.split()[0], "on", sys.platform)
print("arguments  ", sys.argv)
print("environment", dict(sorted(os.environ.items())))
print("directory  ", os.getcwd(), "told as", os.environ.get("PWD", "nothing"))
print("files in / ", sorted(os.listdir("/")))
