"""Lists of records: a table on a terminal, one record a line with tabs between its fields everywhere else."""

from __future__ import annotations

from gitcoord.cli.acting import on_terminal
from gitcoord.cli.text import visible
from gitcoord.values import Any

_CELL_LIMIT = 300
_FIELD_LIMIT = 10_000


def print_records(
    title: str, columns: list[str], records: list[list[Any]], *, kind: str = "", spaced: bool = False
) -> None:
    """Print records.

    Args:
        title: stands above the table on a terminal.
        columns: the names of the fields; a `>` at the end marks numbers.
        records: the fields of each; they may hold anything, and are made harmless here.
        kind: the first field of each line where no table is drawn, for outputs that mix kinds of records.
        spaced: leave a line above the table.
    """
    if on_terminal():
        _print_table(title, columns, records, spaced=spaced)
        return
    for record in records:
        fields = [visible(field, _FIELD_LIMIT) for field in record]
        print("\t".join([kind, *fields] if kind else fields))


def _print_table(title: str, columns: list[str], records: list[list[Any]], *, spaced: bool) -> None:
    if not records:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gitcoord.config import read_environment

    plain = read_environment().no_color  # rich itself drops colours only, and goes on to write bold and dim
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        name = column.rstrip(">")
        right = "right" if column.endswith(">") else "left"
        table.add_column(name, overflow="fold", justify=right, no_wrap=column.endswith(">"))
    for record in records:
        # Text objects, not strings: a reason that holds [brackets] is no markup.
        table.add_row(*(Text(visible(field, _CELL_LIMIT)) for field in record))
    colors = None if plain else "auto"
    console = Console(highlight=False, markup=False, emoji=False, color_system=colors)
    if spaced:
        console.print()
    console.print(table)
