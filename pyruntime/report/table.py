"""Rows in columns, for people; spaced as Go's text/tabwriter spaces them, so that scripts cut at the same places."""

from pyruntime.errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def columns(rows: "Sequence[Sequence[str]]", min_width: int = 12, padding: int = 3) -> str:
    """The rows as lines, each ending in a newline. The last cell of a row is not padded.

    A column is `padding` wider than its widest cell and at least `min_width`. Control characters are escaped.
    Raises ValueError for rows of different lengths.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(min_width, max(map(len, column)) + padding) for column in zip(*cells, strict=True)]
    return "".join(_line(row, widths) for row in cells)


def _line(row: "list[str]", widths: "list[int]") -> str:
    padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
    return "".join([*padded, *row[-1:]]) + "\n"
