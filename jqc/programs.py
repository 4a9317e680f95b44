"""Compiled programs: made by one thread at a time, and counted through JAX's own monitoring.

>>> import jax
>>> with counted() as programs:
...     _ = compiled(jax.jit(lambda x: 2 * x), 3.0)
>>> programs.made
1
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
from jax import monitoring

from jqc.process import release_freed_memory
from jqc.timing import stage

_MADE = "/jax/core/compile/backend_compile_duration"
_FOUND = "/jax/compilation_cache/cache_hits"

_ONE_AT_A_TIME = threading.RLock()


def compiled(function: Any, *arguments: Any) -> jax.stages.Compiled:
    """The program of a jitted function for these arguments, or shapes in their place; compiled where it is new.

    Threads that ask for one program at the same time would each compile it; here the others wait, and find it. What
    compiling has left behind is handed back before the program makes its arrays.
    """
    with _ONE_AT_A_TIME, stage("compile"), counted() as programs:
        program = function.lower(*arguments).compile()
        if programs.made:
            release_freed_memory()
        return program


@dataclass
class Programs:
    """How many programs were made, how many of them came from the compilation cache, and the seconds all took."""

    made: int = 0
    found: int = 0
    seconds: float = 0.0

    @property
    def compiled(self) -> int:
        """Programs that went through the compiler."""
        return self.made - self.found


@contextmanager
def counted() -> Iterator[Programs]:
    """Count the programs that this process makes inside, in every thread."""
    programs = Programs()

    def lasted(event: str, duration_secs: float, **kwargs: Any) -> None:
        if event == _MADE:
            programs.made += 1
            programs.seconds += duration_secs

    def happened(event: str, **kwargs: Any) -> None:
        programs.found += event == _FOUND

    monitoring.register_event_duration_secs_listener(lasted)
    monitoring.register_event_listener(happened)
    try:
        yield programs
    finally:
        monitoring.unregister_event_duration_listener(lasted)
        monitoring.unregister_event_listener(happened)
