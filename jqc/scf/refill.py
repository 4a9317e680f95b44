"""Slots seen from the host: who waits for one, who is inside, and whose result is due.

While the devices iterate, the next problems are posed, so that integrals and grids of the systems to come are made
meanwhile.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from jqc.process import make_room_for_programs, single_threaded_blas
from jqc.scf.lanes import Posing
from jqc.scf.minimise import minimised
from jqc.scf.problem import Problem, Solver
from jqc.scf.result import SCFResult
from jqc.scf.slots import Slots, Start, advance_slots, empty, exchange
from jqc.scf.solve import result_of
from jqc.scf.step import SCFState
from jqc.system.budget import orbital_budget
from jqc.system.keep import keep_orbitals

AHEAD = 2
"""Problems for each slot that may wait for one."""


class Job(NamedTuple):
    """A problem, and where its result goes."""

    problem: Problem
    future: Future[SCFResult]


@dataclass
class Queue:
    """Problems as they come, at most `room` of them waiting, by the shapes of their arrays."""

    source: Iterator[Posing]
    room: int
    order: deque[Future[SCFResult]] = field(default_factory=deque)
    waiting: dict[Hashable, deque[Job]] = field(default_factory=dict)
    exhausted: bool = False

    def fill_while_busy(self, shapes: Hashable, awaited: jax.Array) -> None:
        """Pose problems until an array is there, and a problem of some shapes waits."""
        self.fill(lambda: shapes in self.waiting and awaited.is_ready())  # pyright: ignore[reportAttributeAccessIssue]

    def fill(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Pose problems until there are enough of them, as many as may wait, or no more."""
        while not (self.exhausted or enough() or sum(map(len, self.waiting.values())) >= self.room):
            posing = next(self.source, None)
            if posing is None:
                self.exhausted = True
                return
            future: Future[SCFResult] = Future()
            self.order.append(future)
            try:
                problem = posing()
            except Exception as error:  # of one problem, in the place of its result
                future.set_exception(error)
            else:
                self.waiting.setdefault(shapes_of(problem), deque()).append(Job(problem, future))

    def take(self, shapes: Hashable) -> Job | None:
        """The next problem of some shapes."""
        jobs = self.waiting.get(shapes)
        if not jobs:
            return None
        job = jobs.popleft()
        if not jobs:
            del self.waiting[shapes]
        return job

    def due(self) -> Iterator[Future[SCFResult]]:
        """Futures that are done, in order, up to the first that is not."""
        while self.order and self.order[0].done():
            yield self.order.popleft()


def shapes_of(problem: Problem) -> Hashable:
    """What a program is keyed on: problems of the same share slots."""
    leaves, structure = jax.tree.flatten((problem.system, problem.dm))
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves), problem.named


def in_slots(problems: Iterator[Posing], how: Solver, width: int, mesh: Mesh) -> Iterator[Future[SCFResult]]:
    """Results in the order of the problems, each once it is there; one set of slots lives at a time."""
    queue = Queue(problems, AHEAD * width * mesh.size)
    share_memory = mesh.devices.flat[0].platform == "cpu"
    how = replace(how, budget=orbital_budget(width * mesh.size if share_memory else width))
    while True:
        queue.fill()
        yield from queue.due()
        if not queue.waiting:
            return
        most = max(queue.waiting, key=lambda shapes: len(queue.waiting[shapes]))
        yield from _of_one_shape(queue, most, how, width, mesh)


def _of_one_shape(queue: Queue, shapes: Hashable, how: Solver, width: int, mesh: Mesh) -> Iterator[Future[SCFResult]]:
    """Solve what waits of some shapes, and what comes meanwhile, until no slot is busy."""
    make_room_for_programs()
    bank = _Bank(queue.waiting[shapes][0].problem, how, width, mesh)
    ended: set[int] = set()
    while True:
        with single_threaded_blas():
            taken = bank.refill(ended, lambda: queue.take(shapes))
            stopped = bank.advance()
            for job, state in taken:
                _finish(job, state, bank.how)
            if not any(bank.jobs):
                break
            queue.fill_while_busy(shapes, stopped)
            ended = {*np.flatnonzero(np.asarray(stopped)).tolist()}
        yield from queue.due()


def _finish(job: Job, state: SCFState, how: Solver) -> None:
    """Hand over the result of a state that DIIS left, after Newton where that stalled."""
    problem = job.problem
    try:
        if not how.ends_with(state):
            state = minimised(problem, how, state, keep_orbitals(problem.system, how.budget))
        job.future.set_result(result_of(problem, state))
    except Exception as error:  # of one molecule, in the place of its result
        job.future.set_exception(error)


class _Bank:
    """Slots of one shape on the devices of a mesh, and the jobs inside, `width` to a device."""

    def __init__(self, problem: Problem, how: Solver, width: int, mesh: Mesh):
        self.problem, self.how, self.width, self.mesh = problem, how.over(problem.system), width, mesh
        self.jobs: list[Job | None] = [None] * (width * mesh.size)
        self.functionals = problem.functional, problem.starter
        self.n_occ = how.columns(problem.system)
        given = self._start([None] * mesh.size, [0] * mesh.size)
        self.slots: Slots = empty(*self.functionals, given, how.settings, mesh, width, how.budget)

    def refill(self, ended: set[int], following: Callable[[], Job | None]) -> list[tuple[Job, SCFState]]:
        """Take states out of slots that have ended, with their jobs, and put what follows into all that are free.

        It is done for one slot of each device at a time.
        """
        todo = [deque(self._free(device, ended)) for device in range(self.mesh.size)]
        taken = []
        while any(todo):
            chosen = [slots.popleft() if slots else None for slots in todo]
            jobs = [None if slot is None else following() for slot in chosen]
            if not any(jobs) and not ended.intersection(chosen):
                break  # free slots are left, and nobody to enter
            out = self._exchange(chosen, jobs)
            for device, (slot, job) in enumerate(zip(chosen, jobs, strict=True)):
                if slot in ended:
                    taken.append((self.jobs[slot], _at(out, device)))
                if slot is not None:
                    self.jobs[slot] = job
        return taken

    def _free(self, device: int, ended: set[int]) -> list[int]:
        """Slots of a device that have ended, and then those that are empty."""
        own = range(device * self.width, (device + 1) * self.width)
        return [slot for slot in own if slot in ended] + [slot for slot in own if self.jobs[slot] is None]

    def _exchange(self, slots: list[int | None], jobs: list[Job | None]) -> SCFState:
        """One slot on each device; none is meant by a number beyond the last."""
        inside = [self.width if slot is None else slot % self.width for slot in slots]
        given = self._start(jobs, inside)
        how = self.how
        self.slots, out = exchange(*self.functionals, self.slots, given, how.settings, self.mesh, how.budget)
        return out

    def _start(self, jobs: list[Job | None], inside: list[int]) -> Start:
        """What devices are given, from the host; where there is nothing to give, a problem that is not looked at."""
        problems = [self.problem if job is None else job.problem for job in jobs]
        stacked = lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves])  # noqa: E731
        start = Start(
            jax.tree.map(stacked, *(problem.system for problem in problems)),
            stacked(*(problem.dm for problem in problems)),  # pyright: ignore[reportArgumentType]
            np.asarray(inside, np.int32),  # pyright: ignore[reportArgumentType]
            np.asarray([job is not None for job in jobs]),  # pyright: ignore[reportArgumentType]
        )
        return jax.device_put(start, NamedSharding(self.mesh, Spec(self.mesh.axis_names)))

    def advance(self) -> jax.Array:
        """Iterate until a slot ends on each device with a busy one; which have ended, once it is known."""
        options = self.how.settings, jnp.asarray(self.how.patience), jnp.asarray(self.how.max_iterations)
        self.slots, ended = advance_slots(self.problem.functional, self.slots, *options, self.n_occ, self.mesh)
        return ended


def _at(states: SCFState, device: int) -> SCFState:
    """The state that a device has handed out, where `scf` would have it."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[device]), states)
