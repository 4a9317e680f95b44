"""How far a long job is: a bar on a terminal, a plain line now and then elsewhere, both on stderr."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

EVERY = 30.0
"""Seconds between plain lines."""


def with_progress(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    """The items, with a report of how many of `total` there were, how many a second, and the time left.

    >>> list(with_progress("abc", 3, "letters"))
    ['a', 'b', 'c']
    """
    return _bar(items, total, title) if sys.stderr.isatty() else _lines(items, total, title)


def _bar(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task) -> Text:
            return Text(_per_second(task.speed or 0.0))

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield from bar.track(items, total=total, description=title)


def _lines(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= EVERY or done == total:
            last, rate = now, done / max(now - start, 1e-9)
            left = f", {_clock((total - done) / rate)} left" if done < total else f" in {_clock(now - start)}"
            print(f"{title}: {done}/{total}, {_per_second(rate)}{left}", file=sys.stderr, flush=True)


def _per_second(rate: float) -> str:
    return f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
