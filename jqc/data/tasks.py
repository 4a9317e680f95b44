"""One function over many tasks, in this process or in several, of which any may die.

Workers are spawned, never forked, because a fork of a process that runs JAX may hang. Each has a pipe of its own, so
that the death of one loses one task, which a fresh worker tries again.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar, cast

from jqc.errors import InputError
from jqc.process import cores, keep_freed_memory

Task = TypeVar("Task")
Value = TypeVar("Value")

ATTEMPTS = 4
"""Times that a task is tried whose worker dies: a worker may die of something else than its task, more than once."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # the last is XLA's


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What became of the task `name`: a value, or the reason why there is none."""

    name: str
    value: Value | None = None
    error: str | None = None


def run_tasks(
    function: Callable[[Task], Value],
    tasks: Mapping[str, Task],
    workers: int = 1,
    initializer: Callable[[], object] | None = None,
) -> Iterator[Outcome[Value]]:
    """Outcomes of `function` on every task, as they end; with one worker in this process and in order.

    More workers are processes that share the cores; function, initializer, tasks and values are pickled. Each calls
    `initializer` first. An exception is the outcome of its task; so is the fourth death of its worker. Closing the
    iterator, or the end of this process, ends the workers.

    Raises:
        InputError: there is less than one worker.
        RuntimeError: a worker ended before it was ready.

    >>> [outcome.value for outcome in run_tasks(abs, {"first": -1, "second": 2})]
    [1, 2]
    """
    if workers < 1:
        raise InputError(f"{workers} workers were asked for; give at least one.")
    if workers > 1:
        return _in_workers(function, tasks, min(workers, max(len(tasks), 1)), initializer)
    return _here(function, tasks, initializer)


def _here(
    function: Callable[[Task], Value], tasks: Mapping[str, Task], initializer: Callable[[], object] | None
) -> Iterator[Outcome[Value]]:
    if initializer:
        initializer()
    for name, task in tasks.items():
        yield Outcome(name, *attempted(function, task))


def run_in_threads(
    function: Callable[[Task], Value],
    tasks: Mapping[str, Task],
    contexts: Sequence[Callable[[], AbstractContextManager[object]]],
    initializer: Callable[[], object] | None = None,
) -> Iterator[Outcome[Value]]:
    """Outcomes of `function` on every task, as they end: one thread inside each context, such as a device of JAX's.

    Closing the iterator leaves threads to end what they are at.

    >>> from contextlib import nullcontext
    >>> sorted(outcome.value for outcome in run_in_threads(abs, {"first": -1, "second": 2}, [nullcontext] * 2))
    [1, 2]
    """
    if initializer:
        initializer()
    waiting, done = deque(tasks.items()), SimpleQueue()

    def serve(context: Callable[[], AbstractContextManager[object]]) -> None:
        with context(), suppress(IndexError):
            while True:
                name, task = waiting.popleft()
                done.put(Outcome(name, *attempted(function, task)))

    for context in contexts:
        threading.Thread(target=serve, args=(context,), daemon=True).start()
    try:
        for _ in tasks:
            yield done.get()
    finally:
        waiting.clear()


def attempted(function: Callable[[Task], Value], task: Task) -> tuple[Value | None, str | None]:
    """Value, or the error in words: not every exception can be pickled."""
    try:
        return function(task), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


class _Worker(NamedTuple):
    """A process and this end of the pipe to it."""

    process: SpawnProcess
    pipe: Connection


def _in_workers(
    function: Callable[[Task], Value],
    tasks: Mapping[str, Task],
    count: int,
    initializer: Callable[[], object] | None,
) -> Iterator[Outcome[Value]]:
    threads = max(1, cores() // count)
    waiting = deque((name, task, 1) for name, task in tasks.items())
    idle: list[_Worker] = []
    busy: dict[Connection, tuple[_Worker, str, Task, int]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                worker = idle.pop() if idle else _started(function, initializer, threads)
                busy[worker.pipe] = worker, *waiting.popleft()
                with suppress(OSError):  # of one that died idle; its pipe will tell
                    worker.pipe.send(busy[worker.pipe][2])
            for pipe in wait(busy):
                worker, name, task, attempt = busy.pop(cast(Connection, pipe))
                try:
                    value, error, usable = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    if attempt < ATTEMPTS:
                        waiting.appendleft((name, task, attempt + 1))
                    else:
                        yield Outcome(name, error=_last_words(worker.process))
                    continue
                if not usable:
                    raise RuntimeError(f"A worker could not start: {error}")
                idle.append(worker)
                yield Outcome(name, value, error)
    finally:
        for worker in (*idle, *(worker for worker, *_ in busy.values())):
            worker.process.kill()
            worker.process.join()


def _started(function: Callable, initializer: Callable[[], object] | None, threads: int) -> _Worker:
    """A new worker; its libraries find the number of threads in the environment when they are loaded."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, initializer), daemon=True)
    added = {name: str(threads) for name in _THREADS if name not in os.environ}
    os.environ.update(added)
    try:
        process.start()
    finally:
        for name in added:
            del os.environ[name]
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Connection, function: Callable, initializer: Callable[[], object] | None) -> None:
    """A worker's life: it ends with its parent, not at an interrupt, which the parent answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer:
        _, error = attempted(lambda _: initializer(), None)
        if error:
            pipe.send((None, error, False))
            return
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        value, error = attempted(function, task)
        try:
            pipe.send((value, error, True))
        except Exception as unsendable:
            pipe.send((None, f"{type(unsendable).__name__}: {unsendable}", True))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _last_words(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    hint = ", which a system short of memory does" if code == -signal.SIGKILL else ""
    return f"its worker {how} {ATTEMPTS} times{hint}"
