"""Processes that compute as one: how they meet, what they agree on, and what becomes of them when one is lost.

All of them run the same program on a mesh that holds the devices of all (`jqc.devices`). The first one leads: it reads
and writes a run's files and speaks for all. Where a mesh is of one process, that one leads and agrees with itself.
"""

import atexit
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jqc.devices import AXIS, everywhere
from jqc.errors import GroupError, InputError

DETECTED = "auto"
"""In place of a coordinator: whoever started the processes tells it."""

PATIENCE = 300.0
"""Seconds in which a group has to be complete."""

FAILED, FAILED_INPUT = 1, 2
"""Exit codes of a member that fails, as those of a script and of a command."""

_LOST = re.compile("Gloo|coordination service|distributed service")


@dataclass(frozen=True)
class Membership:
    """A process's place in a group: where the first process is to be found, how many there are, and its number.

    `coordinator` is HOST:PORT on the host of process 0, reached by all, or `DETECTED` where SLURM or Open MPI has
    started the processes, and neither numbers are given.

    Raises:
        GroupError: numbers that are missing, out of range or not asked for, or an address that is none.

    >>> Membership("node1:12345", processes=2, process_id=1).port
    12345
    """

    coordinator: str
    processes: int | None = None
    process_id: int | None = None

    def __post_init__(self):
        numbers = {"processes": self.processes, "process_id": self.process_id}
        given = [name for name, number in numbers.items() if number is not None]
        if self.coordinator == DETECTED:
            if given:
                raise GroupError(f"{given[0]} is given, and coordinator is {DETECTED}, which detects it; leave it out.")
            return
        if self.processes is None or self.process_id is None:
            missing = next(name for name in numbers if name not in given)
            raise GroupError(f"{missing} is missing; give coordinator, processes and process_id together.")
        if self.processes < 1:
            raise GroupError(f"processes is {self.processes}; give 1 or more.")
        if not 0 <= self.process_id < self.processes:
            raise GroupError(f"process_id is {self.process_id} of {self.processes}; give 0 to {self.processes - 1}.")
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise GroupError(f"coordinator is {self.coordinator!r}; give HOST:PORT, such as node1:12345.")

    @property
    def port(self) -> int:
        """Where process 0 listens."""
        return int(self.coordinator.rpartition(":")[2])


@contextmanager
def member(membership: Membership, patience: float = PATIENCE) -> Iterator[None]:
    """Be a member of a group inside, before any computation; `jax.devices()` are then those of all members.

    Processes on CPUs exchange numbers by gloo. At the end members wait for each other. One that fails does not: its
    process ends without that as soon as Python does, and the others, which would wait for its numbers for ever, are
    told; where nothing tells them at once, within two minutes.

    Raises:
        GroupError: the group is not complete within `patience` seconds, its first process cannot be found or cannot
            listen, or JAX has computed already.
    """
    try:
        _join(membership, patience)
        yield
        jax.distributed.shutdown()
    except BaseException as error:
        atexit.register(_end, error)  # comes before JAX's own function, which waits for the others
        raise


def _end(error: BaseException) -> None:
    """The end of Python without what is left to do."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(FAILED_INPUT if isinstance(error, InputError) else FAILED)


def _join(membership: Membership, patience: float) -> None:
    if membership.coordinator != DETECTED:
        _check_address(membership)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # else SIGTERM ends nothing any more
    _initialize(membership, patience)


def _check_address(membership: Membership) -> None:
    """What would else be noticed when the time is up."""
    host = membership.coordinator.rpartition(":")[0].strip("[]")
    try:
        socket.getaddrinfo(host, membership.port)
    except OSError:
        raise GroupError(f"the coordinator {membership.coordinator} is no known host; correct it.") from None
    if membership.process_id == 0:
        try:
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("", membership.port))
        except OSError:
            raise GroupError(f"port {membership.port} is taken on this host; give another to all processes.") from None


def _initialize(membership: Membership, patience: float) -> None:
    """Meet the others; JAX itself would end the process where they do not come, hence a thread that may be left."""
    detected = membership.coordinator == DETECTED
    failures = []

    def meet() -> None:
        try:
            jax.distributed.initialize(
                None if detected else membership.coordinator,
                membership.processes,
                membership.process_id,
                cluster_detection_method=None if detected else "deactivate",
                initialization_timeout=round(patience) + 3600,
            )
        except Exception as error:
            failures.append(error)

    meeting = threading.Thread(target=meet, daemon=True)
    meeting.start()
    meeting.join(patience)
    if meeting.is_alive():
        raise GroupError(
            f"no group of {membership.processes or 'all'} processes has met at {membership.coordinator} within "
            f"{patience:.0f} s; start all of them, with the address of the first."
        )
    if failures:
        reason = str(failures[0]).splitlines()[0].rstrip(".")
        fix = "give coordinator, processes and process_id" if detected else "join before any computation, and only once"
        raise GroupError(f"no group was formed ({reason}); {fix}.")


def leads(mesh: Mesh) -> bool:
    """Whether this process is the first of those that a mesh spans."""
    return not mesh.is_multi_process or mesh.devices.flat[0].process_index == jax.process_index()


def largest(value: float, mesh: Mesh) -> float:
    """The largest of the numbers that the processes of a mesh give."""
    return float(_gathered(np.asarray(value, float), mesh).max()) if mesh.is_multi_process else value


def from_first(content: bytes, mesh: Mesh) -> bytes:
    """What the first process of a mesh gives; what the others do is not looked at."""
    if not mesh.is_multi_process:
        return content
    length = int(_gathered(np.asarray(len(content)), mesh)[0])
    return _gathered(np.frombuffer(content[:length].ljust(length), np.uint8), mesh)[0].tobytes()


def _gathered(array: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Arrays of one shape from all processes, a row for each device."""
    shape, sharding = (mesh.size, *array.shape), NamedSharding(mesh, PartitionSpec(AXIS))
    rows = jax.make_array_from_callback(shape, sharding, lambda index: array[None])
    return np.asarray(_everywhere(mesh)(rows))


@cache
def _everywhere(mesh: Mesh) -> Callable[[jax.Array], jax.Array]:
    """Rows to all devices; one function for all calls, of which there are two a step."""
    return jax.jit(lambda rows: rows, out_shardings=everywhere(mesh))


@contextmanager
def noticing_losses() -> Iterator[None]:
    """Say what has happened where numbers of another member do not arrive any more.

    Raises:
        GroupError: a member was lost.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if isinstance(error, GroupError) or not _LOST.search(str(error)):
            raise
        raise GroupError(
            "another process of the group has ended, as its own last words say; start all of them again, and the run "
            "goes on from its last checkpoint."
        ) from None
