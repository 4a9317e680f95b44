"""A Dask cluster's scheduler: reached within seconds or not at all, with workers that are what this process is."""

import asyncio
import json
import logging
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jqc.errors import ClusterError, InputError

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT = 10.0
"""Seconds in which a scheduler must answer."""

ANSWER = 30.0
"""Seconds in which a worker should."""


LOOK = 1.0
"""Seconds between looks at who is there."""


@dataclass(frozen=True)
class Cluster:
    """A connection to the scheduler at `address`; `check`, unpickled on a worker, raises where that differs from us."""

    address: str
    client: "Client"
    check: bytes


@contextmanager
def connected(address: str, identity: Callable[[], Mapping[str, str]]) -> Iterator[Cluster]:
    """A cluster, for as long as the context lasts; `address` may be the scheduler's file, `NAME.json`.

    `identity` is pickled and called here and on every worker: what it says, such as versions, must be the same.

    Raises:
        ClusterError: `distributed` is not installed, no scheduler answers, or a worker that is there is not the same.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("a cluster needs the package distributed; pip install 'jqc-jax[cluster]'.") from None
    with _silence():
        client = Client(_found(address), timeout=CONNECT, set_as_default=False, name="jqc")
        try:
            cluster = Cluster(address, client, sent(_agree, pickle.dumps(identity), dict(identity())))
            _refuse_strangers(cluster)
            yield cluster
        finally:
            with suppress(OSError):
                client.close(timeout=CONNECT)


def _found(address: str) -> str:
    """The address of a scheduler that answers."""
    deadline = time.monotonic() + CONNECT
    asked = _from_file(Path(address), deadline) if address.endswith(".json") else address
    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a loop already
            kind = thread.submit(asyncio.run, _kind_of(asked, max(deadline - time.monotonic(), 1.0))).result()
        why = None if kind == "Scheduler" else f"there is a {kind.lower()}"
    except OSError:
        why = f"no answer in {CONNECT:.0f} seconds"
    except Exception as error:  # of many kinds: no port, another protocol, no certificate
        why = reason(error)
    if why is not None:
        raise ClusterError(
            f"no Dask scheduler answers at {address!r} ({why}); give the address that dask scheduler prints, as "
            "tcp://HOST:8786."
        )
    return asked


async def _kind_of(address: str, seconds: float) -> str:
    """What answers at an address. A `Client` of none would ask for longer than it is told."""
    from distributed import Security
    from distributed.core import rpc

    async with asyncio.timeout(seconds):
        async with rpc(address, timeout=seconds, connection_args=Security().get_connection_args("client")) as there:
            return cast(Any, await there.identity())["type"]


def workers_of(cluster: Cluster) -> dict[str, bool]:
    """Addresses of all workers, and whether they take tasks: one that retires, or lacks memory, does not.

    Raises:
        ClusterError: the scheduler does not answer any more.
    """
    client: Any = cluster.client
    deadline = time.monotonic() + ANSWER
    while client.status in ("running", "connecting") and time.monotonic() < deadline:
        try:
            found = client.sync(client.scheduler.identity, callback_timeout=CONNECT)["workers"]
            return {address: worker["status"] == "running" for address, worker in found.items()}
        except OSError:
            time.sleep(0.1)
    raise ClusterError(
        f"the scheduler at {cluster.address} does not answer any more; start it and run this again, what is done stays."
    )


def settle(cluster: Cluster, futures: Iterable["Future"], seconds: float, how: str = "ALL_COMPLETED") -> None:
    """Wait until all have ended, or with "FIRST_COMPLETED" one, or the time is over."""
    from distributed import wait

    with cluster.client.as_current(), suppress(TimeoutError, CancelledError):
        wait(list(futures), seconds, how)


class _Call:
    """Unpickled, it is what the function returns."""

    def __init__(self, function: Callable, arguments: tuple):
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.function, self.arguments


def sent(function: Callable, *arguments: Any) -> bytes:
    """A call as bytes: `pickle.loads` of them makes it, where and when that is done."""
    return pickle.dumps(_Call(function, arguments))


def reason(error: object) -> str:
    """What an exception says, on one line, and what it is unless it is our own."""
    said = " ".join(str(error).split())
    return said if isinstance(error, InputError) else f"{type(error).__name__}{': ' if said else ''}{said}"


def _agree(identity: bytes, expected: dict[str, str]) -> None:
    """On a worker: refuse to be another than expected."""
    found = pickle.loads(identity)()
    pairs = ((key, found.get(key, "none"), expected.get(key, "none")) for key in sorted({*found, *expected}))
    differing = [f"{key} {there} there, {here} here" for key, there, here in pairs if there != here]
    if differing:
        raise ClusterError(f"it differs from this process ({'; '.join(differing)}); start it with the same packages.")


def _refuse_strangers(cluster: Cluster) -> None:
    """Ask the workers who they are; those who are at something else are asked again before their first task."""
    deadline = time.monotonic() + ANSWER
    there = workers_of(cluster)
    asked = {at: cluster.client.submit(pickle.loads, cluster.check, pure=False, workers=[at]) for at in there}
    while waiting := [answer for at, answer in asked.items() if at in there and answer.status == "pending"]:
        if time.monotonic() > deadline:
            break
        settle(cluster, waiting, LOOK)
        there = workers_of(cluster)
    for address, answer in asked.items():
        if answer.status == "error":
            raise ClusterError(f"the worker at {address} cannot be used: {reason(answer.exception(ANSWER))}")


def _from_file(path: Path, deadline: float) -> str:
    """The address in a file that `dask scheduler --scheduler-file` writes, soon after its start."""
    while True:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(path.read_text())["address"])
        if time.monotonic() > deadline:
            raise ClusterError(f"{path} is no file of a scheduler; give that of dask scheduler --scheduler-file.")
        time.sleep(0.1)


@contextmanager
def _silence() -> Iterator[None]:
    """Without the messages that Dask logs of every death: what matters is told in our words."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado.application")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
