"""Records as they come: a table that is redrawn in a terminal, plain lines elsewhere."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jqc.training.records import Progress, Record

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ROWS = 15
"""Records that a table shows."""


@contextmanager
def live_table(console: "Console | None" = None) -> Iterator[Progress]:
    """What `fit` may be given as `progress`; rich is imported here.

    >>> with live_table() as progress:
    ...     progress({"kind": "validation", "step": 100, "loss": 0.25, "terms": {"energy": 0.2}, "seconds": 1.5})
    step 100 | validation 2.5000e-01 | energy 2.0000e-01 | 1.5 s
    """
    from rich.console import Console
    from rich.live import Live

    console = console or Console()
    if not console.is_terminal:
        yield lambda record: print(line(record), file=console.file, flush=True)
        return
    shown: deque[Record] = deque(maxlen=ROWS)
    with Live(console=console, auto_refresh=False) as live:

        def show(record: Record) -> None:
            shown.append(record)
            live.update(_table(list(shown)), refresh=True)

        yield show


def line(record: Record) -> str:
    """A record in one line."""
    cells = [f"step {record['step']}", f"{record['kind']} {_number(record['loss'])}"]
    cells += [f"{name} {_number(value)}" for name, value in record["terms"].items()]
    if record["kind"] == "training":
        cells += [f"norm {_number(record['gradient_norm'])}", f"rate {_number(record['learning_rate'])}"]
    if record.get("skipped"):
        cells.append(f"skipped {record['skipped']}")
    return " | ".join([*cells, f"{record['seconds']:.1f} s"])


def _table(records: list[Record]) -> "Table":
    from rich.table import Table

    terms = list(records[0]["terms"])
    table = Table(box=None, header_style="bold")
    for name in ("step", "", "loss", *terms, "norm", "rate", "skipped", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        cells = [_number(value) for value in (record["loss"], *record["terms"].values())]
        cells += [_number(record[name]) if name in record else "" for name in ("gradient_norm", "learning_rate")]
        table.add_row(
            str(record["step"]),
            record["kind"],
            *cells,
            str(record.get("skipped", "")),
            f"{record['seconds']:.1f}",
            style="bold" if record["kind"] == "validation" else "",
        )
    return table


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4e}"
