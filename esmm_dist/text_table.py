"""Draw a small table as lines of text."""

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from esmm_dist.escaped import one_line


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first column aligned left, the others right, no cell cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for i, title in enumerate(head):
        table.add_column(Text(title), justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    out = io.StringIO()
    # Wide enough for any table: a report in a file must not depend on the terminal's width
    Console(file=out, width=400, color_system=None).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]
