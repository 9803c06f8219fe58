"""What a trace costs: the CPU of each command without one, with a list, and with a page for each container.

scripts/bench --trace [--rounds N]. Rounds are paired: each has all three ways, in another order every time.
"""

import argparse
import os
import tempfile

from bundle import Bundles
from candidate import OPERATIONS, Candidate
from compare import rounds
from measure import Cost, adopt_orphans, run

PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin", "pyruntime")


class Listing(Candidate):
    """Every command writes a list of its own."""

    def _call(self, *words: str) -> Cost:
        file = f"{self._root}.json"
        if os.path.exists(file):
            os.unlink(file)
        return run(self.path, "--root", self._root, "--trace", file, *words)


class Paging(Candidate):
    """As engines have it: the environment names a folder, and a container's commands share a page."""

    def _call(self, *words: str) -> Cost:
        folder = f"{self._root}.pages"
        os.makedirs(folder, exist_ok=True)
        os.environ["PYRUNTIME_TRACE_DIR"] = folder
        try:
            return super()._call(*words)
        finally:
            del os.environ["PYRUNTIME_TRACE_DIR"]


def main() -> None:
    """Measure, and print a table for the documentation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="default: 20")
    number = parser.parse_args().rounds
    adopt_orphans()
    with tempfile.TemporaryDirectory() as folder:
        bundles = Bundles(folder)
        ways = [
            Candidate("without", PROGRAM, folder),
            Listing("list", PROGRAM, folder),
            Paging("page", PROGRAM, folder),
        ]
        if ways[0].probe(bundles):
            bundles.drop_resources()
        found, _, _ = rounds(ways, bundles, number)
    print(f"| CPU in ms, least of {number} | {' | '.join(way.name for way in ways)} |\n|---|---|---|---|")
    for operation in OPERATIONS[1:]:
        least = [min(cost.cpu for cost in found[way.name][operation]) for way in ways]
        print(f"| `{operation}` | {' | '.join(f'{value:.1f}' for value in least)} |")


if __name__ == "__main__":
    main()
