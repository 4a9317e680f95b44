"""Where the seconds go: named stages of a job, with compilation counted on its own.

>>> import time
>>> with stages() as seconds:
...     with stage("nap"):
...         time.sleep(0.01)
>>> seconds["nap"] > 0.005
True
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SECONDS: ContextVar[dict[str, float] | None] = ContextVar("seconds", default=None)


@contextmanager
def stages() -> Iterator[dict[str, float]]:
    """Collect the seconds of every `stage` entered inside, under its name."""
    seconds: dict[str, float] = defaultdict(float)
    token = _SECONDS.set(seconds)
    try:
        yield seconds
    finally:
        _SECONDS.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time spent inside to stage `name`; time spent in stages within counts there alone."""
    seconds = _SECONDS.get()
    if seconds is None:
        yield
        return
    before = sum(seconds.values())
    start = time.perf_counter()
    try:
        yield
    finally:
        within = sum(seconds.values()) - before
        seconds[name] += time.perf_counter() - start - within
