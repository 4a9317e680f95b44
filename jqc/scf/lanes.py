"""Molecules side by side: one SCF at a time in each of several threads, for XLA and LAPACK leave Python's lock."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from jqc.scf.problem import Problem, Solver
from jqc.scf.result import SCFResult
from jqc.scf.solve import solved
from jqc.system.budget import orbital_budget

Posing = Callable[[], Problem]
"""Makes the next problem; raises what is wrong with it."""

AHEAD = 4
"""Problems for each lane that may be solved ahead of the result which is asked for."""


def in_lanes(problems: Iterator[Posing], how: Solver, lanes: int) -> Iterator[Future[SCFResult]]:
    """Results in the order of the problems, each once it is there; problems are taken as lanes come to need them."""
    how = replace(how, budget=orbital_budget(lanes))
    pool = ThreadPoolExecutor(lanes, "scf")
    order: deque[Future[SCFResult]] = deque()
    try:
        for posing in problems:
            order.append(pool.submit(lambda posing: solved(posing(), how), posing))
            while order and (order[0].done() or len(order) >= AHEAD * lanes):
                order[0].exception()  # waits
                yield order.popleft()
        yield from order
    finally:
        pool.shutdown(cancel_futures=True)
