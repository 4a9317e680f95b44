"""Every task ends as a value or a reason, whatever becomes of a cluster's workers; real schedulers, real workers."""

import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from jqc.data import cluster as cluster_module
from jqc.data import run_on_cluster
from jqc.data.scheduler import connected, workers_of
from jqc.errors import ClusterError

PATIENCE = 30.0  # s; what has not happened by then never will


def identity():
    """What the tests' workers must agree in."""
    return {"jqc": os.environ.get("JQC_TEST_VERSION", "1"), "python": "3"}


def answer(task):
    """What the tests' workers do."""
    kind, value = task
    if kind == "raise":
        raise ArithmeticError(f"no answer to {value}")
    if kind == "lambda":
        return lambda: value
    if kind == "die" or (kind == "die once" and not Path(value).exists()):
        Path(value).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "wait for":
        until(Path(value).exists)
    if kind == "alone":
        descriptor = os.open(value, os.O_CREAT | os.O_EXCL)  # refused to the second at a time
        time.sleep(0.05)
        os.close(descriptor)
        os.unlink(value)
    return os.environ.get("JQC_TEST_MARK"), os.getpid()


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def set_mark():
    os.environ["JQC_TEST_MARK"] = "set"


def fail_to_start():
    raise OSError("no scratch space")


@contextmanager
def with_workers(dask, count):
    """A connection, once so many are there."""
    with connected(dask.address, identity) as cluster:
        until(lambda: len(workers_of(cluster)) >= count)
        yield cluster


def test_values_errors_and_deaths(dask, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(cluster_module, "ATTEMPTS", 2)
    for _ in range(2):
        dask.worker("--nanny")
    tasks = {str(number): ("return", number) for number in range(12)}
    tasks |= {"bad": ("raise", 3), "unsendable": ("lambda", 1)}
    tasks |= {"dies": ("die", str(tmp_path / "died")), "lives": ("die once", str(tmp_path / "mark"))}
    with with_workers(dask, 2) as cluster:
        found = list(run_on_cluster(cluster, answer, tasks, set_mark))
    assert sorted(outcome.name for outcome in found) == sorted(tasks)
    outcomes = {outcome.name: outcome for outcome in found}
    assert outcomes["bad"].error == "ArithmeticError: no answer to 3"
    assert "pickle" in outcomes["unsendable"].error
    assert outcomes["dies"].error.startswith("its worker was gone 2 times")
    good = [outcome for name, outcome in outcomes.items() if name not in ("bad", "unsendable", "dies")]
    assert {outcome.error for outcome in good} == {None}
    assert {outcome.value[0] for outcome in good} == {"set"}
    assert os.getpid() not in {outcome.value[1] for outcome in good}
    told = capfd.readouterr().err
    assert told.count("is gone, which was at dies") == 2
    assert told.count("is gone, which was at lives") == 1
    assert all(line.startswith("cluster: ") for line in told.splitlines())  # Dask itself is quiet


def test_one_task_at_a_time_in_a_process_of_many_threads(dask, tmp_path):
    dask.worker("--no-nanny", "--nthreads", "4")

    def job(prefix):
        tasks = {f"{prefix}{number}": ("alone", str(tmp_path / "lock")) for number in range(8)}
        with with_workers(dask, 1) as cluster:
            return list(run_on_cluster(cluster, answer, tasks))

    with ThreadPoolExecutor(2) as threads:
        found = [outcome for outcomes in threads.map(job, "ab") for outcome in outcomes]
    assert [outcome.error for outcome in found] == [None] * 16


def test_workers_that_join_late_take_part_unless_they_are_others(dask, tmp_path, capfd):
    marks = [tmp_path / "mark one", tmp_path / "mark two"]
    tasks = {str(at): ("wait for", str(mark)) for at, mark in enumerate(marks)} | {"last": ("return", 0)}
    with connected(str(dask.file), identity) as cluster:
        outcomes = run_on_cluster(cluster, answer, tasks, patience=PATIENCE)
        with ThreadPoolExecutor(1) as thread:
            first = thread.submit(next, outcomes)
            said = ""
            while "no worker" not in said:
                said += capfd.readouterr().err
                time.sleep(0.1)
            dask.worker()
            until(lambda: len(workers_of(cluster)) == 1)
            dask.worker(JQC_TEST_VERSION="2")
            while "gets no task" not in said:
                said += capfd.readouterr().err
                time.sleep(0.1)
            dask.worker()
            for mark in marks:
                mark.touch()
            found = [first.result(), *outcomes]
    assert sorted(outcome.name for outcome in found) == sorted(tasks)
    assert {outcome.error for outcome in found} == {None}
    refusal = next(line for line in said.splitlines() if "gets no task" in line)
    assert "jqc 2 there, 1 here" in refusal
    assert "python" not in refusal


def test_a_worker_of_another_version_stops_the_job_before_it_begins(dask):
    dask.worker()
    dask.worker(JQC_TEST_VERSION="2")
    with connected(dask.address, nothing) as cluster:
        until(lambda: len(workers_of(cluster)) == 2)
    with pytest.raises(ClusterError, match=r"worker at tcp://.*jqc 2 there, 1 here") as raised:
        connected(dask.address, identity).__enter__()
    assert len(str(raised.value).splitlines()) == 1


def nothing():
    """The same everywhere."""
    return {}


def test_workers_that_cannot_start_and_none_at_all(dask):
    with connected(dask.address, identity) as cluster:
        assert list(run_on_cluster(cluster, answer, {})) == []
        with pytest.raises(ClusterError, match="no worker to give tasks to for"):
            list(run_on_cluster(cluster, answer, {"a": ("return", 1)}, patience=0.5))
        dask.worker()
        with pytest.raises(ClusterError, match="gets no task: OSError: no scratch space"):
            list(run_on_cluster(cluster, answer, {"a": ("return", 1)}, fail_to_start))
        assert next(run_on_cluster(cluster, answer, {"a": ("return", 1)})).error is None


def test_closing_leaves_a_cluster_that_serves_the_next(dask, tmp_path):
    dask.worker()
    tasks = {"first": ("return", 1), "waits": ("wait for", str(tmp_path / "mark")), "never": ("die", "")}
    with with_workers(dask, 1) as cluster:
        outcomes = run_on_cluster(cluster, answer, tasks)
        assert next(outcomes).name == "first"
        outcomes.close()
    with ThreadPoolExecutor(1) as thread, with_workers(dask, 1) as cluster:
        again = thread.submit(list, run_on_cluster(cluster, answer, {"next": ("return", 1)}))
        (tmp_path / "mark").touch()
        assert [(outcome.name, outcome.error) for outcome in again.result()] == [("next", None)]


def test_a_scheduler_that_dies(dask, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("jqc.data.scheduler.CONNECT", 1.0)
    dask.worker()
    tasks = {"first": ("return", 1), "waits": ("wait for", str(tmp_path / "mark"))}
    with with_workers(dask, 1) as cluster:
        outcomes = run_on_cluster(cluster, answer, tasks)
        assert next(outcomes).error is None
        threading.Timer(0.5, dask.scheduler.kill).start()
        with pytest.raises(ClusterError, match="does not answer any more; start it and run this again"):
            next(outcomes)
    (tmp_path / "mark").touch()
    assert "Traceback" not in capfd.readouterr().err


def test_addresses_where_no_scheduler_is(tmp_path, monkeypatch):
    monkeypatch.setattr("jqc.data.scheduler.CONNECT", 0.5)
    (tmp_path / "other.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        bad = {
            f"tcp://127.0.0.1:{closed.getsockname()[1]}": "no answer in",
            f"tcp://127.0.0.1:{silent.getsockname()[1]}": "no answer in",
            "tpc://127.0.0.1:8786": "unknown address scheme 'tpc'",
            "127.0.0.1": "missing port",
            "": "''",
            str(tmp_path / "none.json"): "no file of a scheduler",
            str(tmp_path / "other.json"): "no file of a scheduler",
        }
        for address, words in bad.items():
            started = time.monotonic()
            with pytest.raises(ClusterError) as raised:
                connected(address, identity).__enter__()
            assert time.monotonic() - started < PATIENCE
            assert words in str(raised.value)
            assert address in str(raised.value)


def test_a_worker_is_no_scheduler(dask):
    dask.worker()
    with with_workers(dask, 1) as cluster:
        address = next(iter(workers_of(cluster)))
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at .* \(there is a worker\)"):
        connected(address, identity).__enter__()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'jqc-jax\[cluster\]'"):
        connected("tcp://127.0.0.1:8786", identity).__enter__()
