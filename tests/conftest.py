"""What every test may ask for: the launcher of this tree, and to be skipped where the rights are missing."""

import os
from collections import Counter
from pathlib import Path

import pytest

try:
    import hypothesis
except ImportError:  # its tests are not collected then
    pass
else:  # a loaded host is slow, and no reason for a test to fail
    hypothesis.settings.register_profile("patient", deadline=None)
    hypothesis.settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent
LAST = ("system", "guest", "clients")  # folders whose tests need more and more of a host


def rank(item: pytest.Item) -> int:
    """Quick tests first: what is plainly wrong should not wait for a container to start."""
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    return LAST.index(folder) + 1 if folder in LAST else 0


def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    items.sort(key=rank)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root: makes namespaces, mounts or cgroups")


@pytest.fixture(scope="session")
def launcher() -> Path:
    """bin/pyruntime of this tree."""
    return ROOT / "bin" / "pyruntime"


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """What was not tested, a line for each reason; in front of the failures, which so come last."""
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_sep("=", "skipped, and why")
    for reason, times in sorted(skipped.items()):
        terminalreporter.write_line(f"{times:5d}  {reason}")


def _reason(report: "pytest.TestReport | pytest.CollectReport") -> str:
    assert isinstance(report.longrepr, tuple)  # file, line, "Skipped: reason"
    return str(report.longrepr[2]).removeprefix("Skipped: ")
