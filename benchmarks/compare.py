"""Compare container runtimes: what each operation costs, in rounds where every candidate takes part, in shuffled order.

Trust CPU and the minimum of the wall time: a loaded machine stretches wall medians, and short commands the most.
The ratio is the first candidate's median CPU divided by the other's, of the same rounds.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile

from bundle import Bundles
from candidate import OPERATIONS, Candidate
from measure import Cost, Failed, adopt_orphans

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.path.join(os.path.dirname(HERE), "bin", "pyruntime")

Results = dict[str, dict[str, list[Cost]]]
Memory = dict[str, list[dict[str, int]]]


def main() -> int:
    """Measure and print; 1 when a candidate failed in the middle, 2 when fewer than one can run."""
    options = arguments()
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        everybody = [Candidate(name, path, folder) for name, path in runtimes(options.runtime)]
        bundles = Bundles(folder)
        candidates, notes = admit(everybody, bundles)
        if not candidates:
            print(*notes, sep="\n", file=sys.stderr)
            return 2
        results, waiting = rounds(candidates, bundles, options.rounds)
    summary = summarise(results, waiting)
    if options.json:
        print(json.dumps({"rounds": options.rounds, "notes": notes, "results": summary}, indent=1))
    else:
        print(*notes, *table(summary), sep="\n")
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


def admit(everybody: "list[Candidate]", bundles: Bundles) -> "tuple[list[Candidate], list[str]]":
    """Those that can run here. Someone who cannot gets a second chance without resources, which is then for all."""
    failures = {candidate.name: candidate.probe(bundles) for candidate in everybody}
    notes = [f"note: {name}: {why}" for name, why in failures.items() if why]
    if notes:
        bundles.drop_resources()
        notes.append("note: so everybody runs without linux.resources, that is without rules for devices")
        failures = {candidate.name: candidate.probe(bundles) for candidate in everybody}
        notes += [f"note: left out: {name}: {why}" for name, why in failures.items() if why]
    return [candidate for candidate in everybody if not failures[candidate.name]], notes


def rounds(candidates: "list[Candidate]", bundles: Bundles, number: int) -> "tuple[Results, Memory]":
    """Measure `number` paired rounds after one that warms the caches and is not counted."""
    results: Results = {candidate.name: {name: [] for name in OPERATIONS} for candidate in candidates}
    waiting: Memory = {candidate.name: [] for candidate in candidates}
    for turn in range(number + 1):
        for candidate in random.sample(candidates, len(candidates)):
            costs, memory = candidate.round(bundles)
            if turn:
                waiting[candidate.name].append(memory)
                for operation, cost in costs.items():
                    results[candidate.name][operation].append(cost)
    return results, waiting


def summarise(results: Results, waiting: Memory) -> "dict[str, dict[str, dict[str, float]]]":
    """Per operation and candidate: median and minimum of CPU and wall in ms; for `waiting init` kB of memory."""
    summary = {
        operation: {name: figures(costs[operation]) for name, costs in results.items()} for operation in OPERATIONS
    }
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


def table(summary: "dict[str, dict[str, dict[str, float]]]") -> "list[str]":
    """The figures for people: one line per operation and candidate."""
    lines = [f"{'':20} {'':12} {'CPU ms':>8} {'min':>7} {'wall ms':>8} {'min':>7} {'CPU ratio':>10}"]
    for operation in OPERATIONS:
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
