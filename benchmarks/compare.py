"""Compare container runtimes: what each operation costs, in rounds where every candidate takes part, in shuffled order.

Trust CPU and the minimum of the wall time: a loaded machine stretches wall medians, and short commands the most.
The ratio is the first candidate's median CPU divided by the other's, of the same rounds. Whoever can't run what
`runc spec` writes meets the first candidate again in a second part, where the bundles have no linux.resources.
`python3` is the bare interpreter, started and left at once as we do it: nothing written in Python is below it.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator

from bundle import Bundles
from candidate import OPERATIONS, Candidate
from measure import Cost, Failed, adopt_orphans, run

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.path.join(os.path.dirname(HERE), "bin", "pyruntime")
BARE = ("/usr/bin/python3", "-IBSXutf8", "-c", "import posix; posix._exit(0)")

Results = dict[str, dict[str, list[Cost]]]
Memory = dict[str, list[dict[str, int]]]
Summary = dict[str, dict[str, dict[str, float]]]
Match = tuple[str, list[Candidate], Bundles, list[str]]


def main() -> int:
    """Measure and print; 2 when none can run here."""
    options = arguments()
    adopt_orphans()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as state,  # a tmpfs, as /run should be
    ):
        everybody = [Candidate(name, path, state) for name, path in runtimes(options.runtime)]
        parts = [
            (title, notes, measured(candidates, bundles, options.rounds))
            for title, candidates, bundles, notes in matches(everybody, Bundles(folder))
        ]
    if not parts:
        return 2
    if options.json:
        told = [{"title": title, "notes": notes, "results": results} for title, notes, results in parts]
        print(json.dumps({"rounds": options.rounds, "parts": told}, indent=1))
    else:
        for title, notes, results in parts:
            print(title, *notes, *table(results), "", sep="\n")
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="default: 20")
    parser.add_argument(
        "--runtime",
        action="append",
        metavar="NAME=PATH",
        help="a candidate, repeatable, the first is the one compared; default: this checkout, runc and crun",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    return parser.parse_args()


def runtimes(named: "list[str] | None") -> "list[tuple[str, str]]":
    """Names and paths of the candidates: those named, or ours and the peers on PATH."""
    if named:
        return [(pair.partition("=")[0], os.path.abspath(pair.partition("=")[2])) for pair in named]
    peers = [(name, shutil.which(name)) for name in ("runc", "crun")]
    return [("pyruntime", OURS)] + [(name, path) for name, path in peers if path]


def matches(everybody: "list[Candidate]", bundles: Bundles) -> "Iterator[Match]":
    """Who is measured with whom: those who can run the default bundle, then the others beside the first one."""
    failures = {candidate: candidate.probe(bundles) for candidate in everybody}
    able = [candidate for candidate in everybody if not failures[candidate]]
    if able:
        yield "default bundle", able, bundles, []
    others = [candidate for candidate in everybody if failures[candidate]]
    notes = [f"note: {other.name} can't run the default bundle: {failures[other]}" for other in others]
    if others:
        bundles.drop_resources()
        second = [candidate for candidate in dict.fromkeys([*able[:1], *others]) if not candidate.probe(bundles)]
        if second:
            yield "without linux.resources, and with it the rules for devices", second, bundles, notes
        else:
            print(*notes, sep="\n", file=sys.stderr)


def measured(candidates: "list[Candidate]", bundles: Bundles, number: int) -> Summary:
    """The figures of one part."""
    return summarise(*rounds(candidates, bundles, number))


def rounds(candidates: "list[Candidate]", bundles: Bundles, number: int) -> "tuple[Results, Memory, list[Cost]]":
    """Measure `number` paired rounds after one that warms the caches and is not counted."""
    results: Results = {candidate.name: {name: [] for name in OPERATIONS} for candidate in candidates}
    waiting: Memory = {candidate.name: [] for candidate in candidates}
    bare: "list[Cost]" = []
    for turn in range(number + 1):
        for candidate in random.sample(candidates, len(candidates)):
            costs, memory = candidate.round(bundles)
            if turn:
                waiting[candidate.name].append(memory)
                for operation, cost in costs.items():
                    results[candidate.name][operation].append(cost)
        bare.append(run(*BARE))
    return results, waiting, bare[1:]


def summarise(results: Results, waiting: Memory, bare: "list[Cost]") -> Summary:
    """Per operation and candidate: median and minimum of CPU and wall in ms; for `waiting init` kB of memory."""
    summary: Summary = {"bare interpreter": {"python3": figures(bare)}}
    for operation in OPERATIONS:
        summary[operation] = {name: figures(costs[operation]) for name, costs in results.items()}
    summary["waiting init"] = {
        name: {field.lower(): statistics.median(sample[field] for sample in samples) for field in ("Rss", "Pss")}
        for name, samples in waiting.items()
    }
    return summary


def figures(costs: "list[Cost]") -> "dict[str, float]":
    """Median and minimum of CPU and wall, milliseconds."""
    cpu, wall = [cost.cpu for cost in costs], [cost.wall for cost in costs]
    return {
        "cpu": statistics.median(cpu),
        "cpu_min": min(cpu),
        "wall": statistics.median(wall),
        "wall_min": min(wall),
    }


def table(summary: Summary) -> "list[str]":
    """The figures for people: one line per operation and candidate."""
    lines = [f"{'':20} {'':12} {'CPU ms':>8} {'min':>7} {'wall ms':>8} {'min':>7} {'CPU ratio':>10}"]
    for operation in ("bare interpreter", *OPERATIONS):
        first = next(iter(summary[operation].values()))
        for name, row in summary[operation].items():
            ratio = f"{first['cpu'] / row['cpu']:10.2f}" if row is not first else ""
            values = f"{row['cpu']:8.2f} {row['cpu_min']:7.2f} {row['wall']:8.2f} {row['wall_min']:7.2f}"
            lines.append(f"{operation:20} {name:12} {values} {ratio}".rstrip())
    for name, row in summary["waiting init"].items():
        lines.append(f"{'waiting init':20} {name:12} RSS {row['rss']:.0f} kB, PSS {row['pss']:.0f} kB")
    return lines


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"compare.py: {error}")
