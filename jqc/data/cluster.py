"""One function over many tasks on the workers of a Dask cluster, which may die, join and come back at any time.

Each worker process has one task at a time, whatever its threads, and this process chooses which: so the death of a
worker is the death of one task, and a worker that cannot be used gets no more. Dask carries tasks and values, and tells
who is there. What it carries is bytes that workers alone unpickle; a scheduler needs no jqc.
"""

import pickle
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from jqc.data.scheduler import ANSWER, LOOK, Cluster, reason, sent, settle, workers_of
from jqc.data.tasks import ATTEMPTS, Outcome, Task, Value, attempted
from jqc.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Future

PATIENCE = 3600.0
"""Seconds to wait for a worker where there is none."""

_at_work = threading.Lock()


def run_on_cluster(
    cluster: Cluster,
    function: Callable[[Task], Value],
    tasks: Mapping[str, Task],
    initializer: Callable[[], object] | None = None,
    patience: float = PATIENCE,
) -> Iterator[Outcome[Value]]:
    """Outcomes of `function` on every task, as they end: `run_tasks` on a cluster's workers.

    Function, initializer, tasks and values are pickled. Each worker calls `initializer` before its first task; where
    that fails, or where a worker joins that is not what `connected` asks for, it gets no task, and standard error says
    so. An exception is the outcome of its task; so is the fourth death of its worker. A worker that was given up may
    still end its task, so that tasks must bear repetition. Closing the iterator leaves workers to end what they are at.

    Raises:
        ClusterError: the scheduler is gone; there was no worker for `patience` seconds, or none that can be used.
    """
    crew = _Crew(cluster, pickle.dumps((initializer, function)), patience)
    waiting = deque(_Trial(name, task, 1) for name, task in tasks.items())
    while waiting or crew.busy:
        crew.look()
        for address in crew.idle()[: len(waiting)]:
            crew.give(address, waiting.popleft())
        for back in crew.back():
            if isinstance(back, Outcome):
                yield back
            else:
                waiting.appendleft(back)


class _Trial(NamedTuple):
    """A task, and how many times it will have been tried."""

    name: str
    task: Any
    attempt: int


class _Crew:
    """Who is there, and who is at what."""

    def __init__(self, cluster: Cluster, work: bytes, patience: float):
        self.cluster, self.work, self.patience = cluster, work, patience
        self.there: dict[str, bool] = {}  # by address, whether it takes tasks
        self.busy: dict[str, tuple[_Trial, Future]] = {}
        self.refused: dict[str, str] = {}
        self.served = False
        self.looked = float("-inf")
        self.alone: float | None = None  # since when

    def look(self) -> None:
        """See who has come and gone, unless that was seen just now."""
        if time.monotonic() - self.looked < LOOK:
            return
        there = workers_of(self.cluster)
        if len(there) != len(self.there):
            _tell(f"{len(there)} worker{'' if len(there) == 1 else 's'}")
        self.there, self.looked = there, time.monotonic()
        self.refused = {address: why for address, why in self.refused.items() if address in there}
        self._bear_solitude()

    def _bear_solitude(self) -> None:
        if self.busy or self.idle():
            self.alone = None
            return
        if self.refused and not self.served:
            raise ClusterError(next(iter(self.refused.values())))
        if self.alone is None:
            self.alone = self.looked
            _tell(f"no worker to give tasks to; waiting up to {self.patience / 60:.0f} minutes for one")
        elif self.looked - self.alone > self.patience:
            raise ClusterError(
                f"{self.cluster.address} had no worker to give tasks to for {self.patience / 60:.0f} minutes; "
                "start some and run this again, what is done stays."
            )

    def idle(self) -> list[str]:
        """Addresses of those who wait for a task."""
        return [at for at, takes in self.there.items() if takes and at not in self.busy and at not in self.refused]

    def give(self, address: str, trial: _Trial) -> None:
        """Send a task to one worker and no other."""
        call = sent(_serve, self.cluster.check, self.work, pickle.dumps(trial.task))
        key = f"{trial.name}-{uuid.uuid4().hex}"
        self.busy[address] = trial, self.cluster.client.submit(pickle.loads, call, key=key, workers=[address])

    def back(self) -> Iterator[Outcome | _Trial]:
        """Outcomes, and tasks to try again, once there are any or it is time to look."""
        if not self.busy:
            time.sleep(LOOK)
        settle(self.cluster, (future for _, future in self.busy.values()), LOOK, "FIRST_COMPLETED")
        for address, (trial, future) in list(self.busy.items()):
            if future.status != "pending":
                del self.busy[address]
                yield self._judged(address, trial, future)
            elif address not in self.there:
                del self.busy[address]
                yield _after_death(address, trial)

    def _judged(self, address: str, trial: _Trial, future: "Future") -> Outcome | _Trial:
        from distributed import KilledWorker

        if future.status == "cancelled":  # the connection was lost; if it is still, the next look says so
            return trial
        if future.status == "error" and not isinstance(error := future.exception(ANSWER), KilledWorker):
            self.refused[address] = f"the worker at {address} gets no task: {reason(error)}"
            _tell(self.refused[address])
            return trial
        try:
            content, error = future.result(ANSWER)
        except (OSError, CancelledError, KilledWorker):  # it died between its end and our question
            return _after_death(address, trial)
        self.served = True
        return Outcome(trial.name, None if content is None else pickle.loads(content), error)


def _after_death(address: str, trial: _Trial) -> Outcome | _Trial:
    _tell(f"the worker at {address} is gone, which was at {trial.name}")
    if trial.attempt < ATTEMPTS:
        return trial._replace(attempt=trial.attempt + 1)
    return Outcome(trial.name, error=f"its worker was gone {ATTEMPTS} times, as one is that runs out of memory or time")


def _serve(check: bytes, work: bytes, task: bytes) -> tuple[bytes | None, str | None]:
    """On a worker: pickled value, or error, of a task; one at a time, for there may be threads and other clients."""
    with _at_work:
        function = _prepared(check, work)
        return attempted(lambda content: pickle.dumps(function(pickle.loads(content))), task)


@lru_cache(maxsize=8)
def _prepared(check: bytes, work: bytes) -> Callable:
    """On a worker: the function, once this worker has been found to be of use."""
    pickle.loads(check)
    initializer, function = pickle.loads(work)
    if initializer:
        initializer()
    return function


def _tell(sentence: str) -> None:
    print(f"cluster: {sentence}", file=sys.stderr, flush=True)
