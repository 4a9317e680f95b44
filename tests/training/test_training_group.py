"""Two processes that train as one: the same result, one that is killed, interrupts, and what they must agree on."""

import signal
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import regression
import spread

from jqc.training import read_records
from jqc.training.checkpoint import complete

ROUNDING = 1e-10
"""Sums are made in another order, in 120 steps."""

STEPS = regression.SETTINGS.steps
LONG = 1_000_000

LIMIT = 200
"""Seconds after which processes that should have ended are taken to hang."""


@contextmanager
def group(folder: Path, *steps: int):
    """Processes of a group, each with its number of steps; none outlives the test."""
    address = f"127.0.0.1:{spread.free_port()}"
    processes = [
        spread.started("member", folder, count, address, len(steps), which) for which, count in enumerate(steps)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()


def ended(processes) -> list[str]:
    """What processes say on standard error, when they have ended."""
    return [process.communicate(timeout=LIMIT)[1] for process in processes]


def train(folder: Path) -> None:
    with group(folder, STEPS, STEPS) as processes:
        errors = ended(processes)
        assert [process.returncode for process in processes] == [0, 0], errors


def wait_for_records(folder: Path, processes) -> None:
    metrics = folder / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") >= 2):
        assert all(process.poll() is None for process in processes), ended(processes)
        time.sleep(0.01)


def told(folder: Path, process: int) -> dict[str, np.ndarray]:
    with np.load(f"{folder}-{process}.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("group") / "run"
    train(folder)
    return folder


def test_two_processes_give_what_one_does(undisturbed):
    alone = spread.run(None, regression.SETTINGS)
    losses = [record["loss"] for record in alone.history]
    for process in (0, 1):
        found = told(undisturbed, process)
        assert found["stopped"] == "steps"
        np.testing.assert_allclose(found["history"], losses, rtol=0, atol=ROUNDING)
        for name, parameter in alone.parameters.items():
            np.testing.assert_allclose(found[name], parameter, rtol=0, atol=ROUNDING)
    steps = [record["step"] for record in read_records(undisturbed / "metrics.jsonl") if record["kind"] == "training"]
    assert steps == [*range(7, STEPS, 7), STEPS]


@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_death_of_one_ends_the_other_and_both_go_on_again(undisturbed, tmp_path, victim):
    folder = tmp_path / "run"
    with group(folder, STEPS, STEPS) as processes:
        wait_for_records(folder, processes)
        processes[victim].kill()
        ended([processes[1 - victim]])
        assert processes[1 - victim].returncode != 0
    assert complete(folder / "checkpoints")[-1].name < f"{STEPS:010d}"
    train(folder)
    for process in (0, 1):
        expected, found = told(undisturbed, process), told(folder, process)
        assert all(np.array_equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("interrupted", [pytest.param((0, 1), marks=pytest.mark.slow), (1,)])
def test_an_interrupt_of_any_stops_all_at_the_same_step(tmp_path, interrupted):
    folder = tmp_path / "run"
    with group(folder, LONG, LONG) as processes:
        wait_for_records(folder, processes)
        for which in interrupted:
            processes[which].send_signal(signal.SIGINT)
        errors = ended(processes)
        assert [process.returncode for process in processes] == [0, 0], errors
    first, second = told(folder, 0), told(folder, 1)
    assert first["stopped"] == second["stopped"] == "interrupted"
    assert first["step"] == second["step"] == int(complete(folder / "checkpoints")[-1].name)


def test_processes_that_would_train_different_things_are_refused(tmp_path):
    with group(tmp_path / "run", STEPS, STEPS + 1) as processes:
        first, second = ended(processes)
        assert [process.returncode for process in processes] == [2, 2]
    assert "process 0 trains with setting steps = 120, and this one with 121; give all the same" in second
    assert "another process of the group has ended" in first


def test_one_process_reads_what_a_group_has_left(undisturbed):
    again = spread.run(None, regression.SETTINGS, undisturbed)
    found = told(undisturbed, 0)
    assert all(np.array_equal(found[name], parameter) for name, parameter in again.parameters.items())
