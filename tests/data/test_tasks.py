"""Every task ends as a value or a reason, whatever becomes of its worker."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest

from jqc.data import run_in_threads, run_tasks
from jqc.errors import InputError

PATIENCE = 20.0  # s; a worker that should be gone by then hangs


def answer(task):
    """What the tests' workers do."""
    kind, value = task
    if kind == "raise":
        raise ArithmeticError(f"no answer to {value}")
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "die once" and not Path(value).exists():
        Path(value).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exit":
        os._exit(7)
    if kind == "lambda":
        return lambda: value
    if kind == "environment":
        return os.environ.get(value), os.getpid()
    if kind == "sleep":
        time.sleep(value)
    if kind == "touch":
        Path(value).touch()
    if kind == "wait for":
        deadline = time.monotonic() + PATIENCE
        while not Path(value).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    return value


def set_mark():
    os.environ["JQC_TEST_MARK"] = "set"


def fail_to_start():
    raise OSError("no scratch space")


def outcomes(tasks, **keywords):
    found = list(run_tasks(answer, tasks, **keywords))
    assert sorted(outcome.name for outcome in found) == sorted(tasks)
    return {outcome.name: outcome for outcome in found}


@pytest.mark.parametrize("workers", [1, 2])
def test_values_and_exceptions(workers):
    tasks = {str(number): ("return", number) for number in range(6)} | {"bad": ("raise", 3)}
    found = outcomes(tasks, workers=workers)
    assert [found[str(number)].value for number in range(6)] == list(range(6))
    assert (found["bad"].value, found["bad"].error) == (None, "ArithmeticError: no answer to 3")
    assert found["0"].error is None


def test_a_death_costs_its_task_alone(tmp_path):
    tasks = {str(number): ("return", number) for number in range(6)}
    tasks |= {"dies": ("die", None), "exits": ("exit", None), "lives": ("die once", str(tmp_path / "mark"))}
    found = outcomes(dict(sorted(tasks.items(), reverse=True)), workers=2)
    assert {name for name, outcome in found.items() if outcome.error} == {"dies", "exits"}
    assert found["dies"].error == "its worker was killed by SIGKILL 4 times, which a system short of memory does"
    assert found["exits"].error == "its worker ended with code 7 4 times"
    assert found["lives"].value == str(tmp_path / "mark")


def test_tasks_end_in_any_order_on_few_processes(tmp_path):
    mark = str(tmp_path / "mark")
    tasks = {"first": ("wait for", mark)} | {str(at): ("environment", "HOME") for at in range(8)}
    found = list(run_tasks(answer, tasks | {"last": ("touch", mark)}, workers=2))
    assert found[-1].name in ("first", "last")
    assert {outcome.name for outcome in found[:-2]} == {str(at) for at in range(8)}
    pids = {outcome.value[1] for outcome in found[:-2]}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_workers_share_the_cores_and_are_initialised(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    names = {"NPROC", "OMP_NUM_THREADS", "JQC_TEST_MARK"}
    found = outcomes({name: ("environment", name) for name in names}, workers=3, initializer=set_mark)
    assert found["NPROC"].value[0] == str(max(1, len(os.sched_getaffinity(0)) // 3))
    assert found["OMP_NUM_THREADS"].value[0] == "5"  # what the user set stays
    assert found["JQC_TEST_MARK"].value[0] == "set"
    assert "NPROC" not in os.environ


def test_what_cannot_be_pickled_is_a_reason():
    assert "pickle" in outcomes({"a": ("lambda", 1), "b": ("return", 2)}, workers=2)["a"].error


def test_a_worker_that_cannot_start_stops_the_job():
    with pytest.raises(RuntimeError, match="could not start: OSError: no scratch space"):
        list(run_tasks(answer, {"a": ("return", 1), "b": ("return", 2)}, workers=2, initializer=fail_to_start))
    with pytest.raises(InputError, match="0 workers"):
        run_tasks(answer, {}, workers=0)


def test_nothing_to_do():
    assert list(run_tasks(answer, {}, workers=4)) == []


def alive(pid):
    return Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("end", ["close", "interrupt", "kill"])
def test_workers_end_with_the_job(tmp_path, end):
    script = """
import sys, test_tasks
if __name__ == "__main__":
    tasks = {"pid": ("environment", "HOME"), "long": ("sleep", 600), "longer": ("sleep", 600)}
    found = test_tasks.run_tasks(test_tasks.answer, tasks, workers=2)
    print(next(found).value[1], flush=True)
    if sys.argv[1] == "close":
        found.close()
    else:
        next(found)
"""
    (tmp_path / "job.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, str(tmp_path / "job.py"), end]
    job = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    watchdog = threading.Timer(PATIENCE, job.kill)
    watchdog.start()
    worker = int(job.stdout.readline())
    if end != "close":
        assert alive(worker)
        job.send_signal(signal.SIGINT if end == "interrupt" else signal.SIGKILL)
    job.wait()
    assert watchdog.is_alive()
    watchdog.cancel()
    deadline = time.monotonic() + PATIENCE
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


# --- threads ---


def test_each_thread_works_inside_its_context():
    inside, entered = threading.local(), []

    @contextmanager
    def place(number):
        inside.number = number
        entered.append(number)
        yield

    met = threading.Barrier(2, timeout=PATIENCE)

    def number_of(task):
        if task < 0:
            raise ArithmeticError("no answer")
        if task < 2:
            met.wait()  # two threads are at work at once
        return inside.number

    tasks = {"first": 0, "second": 1, "third": 2, "bad": -1}
    found = {each.name: each for each in run_in_threads(number_of, tasks, [partial(place, n) for n in (5, 7)])}
    assert set(found) == set(tasks)
    assert {found["first"].value, found["second"].value} == {5, 7} == set(entered)
    assert found["third"].value in (5, 7)
    assert found["bad"].error == "ArithmeticError: no answer"


def test_closing_threads_leaves_what_waits():
    begun = []
    outcomes = run_in_threads(begun.append, {str(k): k for k in range(100)}, [nullcontext])
    next(outcomes)
    outcomes.close()
    count = len(begun)
    time.sleep(0.1)
    assert len(begun) <= count + 1
