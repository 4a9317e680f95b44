"""Runs that are stopped, killed and resumed equal those that never were, bit for bit."""

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import regression
from regression import SHORT as SETTINGS
from regression import run

from jqc.errors import TrainingError
from jqc.training import checkpoint as checkpoints
from jqc.training import read_records

KILLS = 3


def untimed(folder: Path) -> list[dict]:
    return [
        {name: value for name, value in record.items() if name != "seconds"}
        for record in read_records(folder / "metrics.jsonl")
    ]


def arrays(folder: Path) -> dict[str, bytes]:
    """Bytes of the last checkpoint, timing apart."""
    import orbax.checkpoint

    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        held = checkpointer.restore(checkpoints.complete(folder / "checkpoints")[-1])
    return {name: np.asarray(value).tobytes() for name, value in held.items() if name not in (".seconds", "crc32")}


def assert_same(one: Path, other: Path) -> None:
    assert untimed(one) == untimed(other)
    assert arrays(one) == arrays(other)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, run(folder)


def test_a_folder_holds_what_it_should(undisturbed):
    folder, fitted = undisturbed
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "metrics.jsonl", "settings.json"]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["0000000039", "0000000040"]
    records = read_records(folder / "metrics.jsonl")
    assert [record["step"] for record in records if record["kind"] == "training"] == [7, 14, 21, 28, 35, 40]
    assert [record for record in records if record["kind"] == "validation"] == fitted.history
    assert [record["step"] for record in fitted.history] == [10, 20, 30, 40]
    assert json.loads((folder / "settings.json").read_text())["setting"] == SETTINGS.to_dict()


def test_soap_goes_on_as_well(tmp_path):
    settings, parameters = replace(SETTINGS, optimizer="soap"), jax.tree.map(jnp.asarray, regression.parameters())
    run(tmp_path / "whole", settings, parameters)
    assert run(tmp_path / "cut", settings, parameters, progress=regression.interrupt_at(14)).stopped == "interrupted"
    run(tmp_path / "cut", settings, parameters)
    assert_same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("at", [7, 10, 28])
def test_interrupted_and_resumed(undisturbed, tmp_path, at):
    assert run(tmp_path, progress=regression.interrupt_at(at)).stopped == "interrupted"
    again = run(tmp_path)
    assert_same(tmp_path, undisturbed[0])
    assert again.stopped == "steps"
    one, other = (jax.tree.leaves(fitted.parameters) for fitted in (again, undisturbed[1]))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_error_amid_a_run_loses_only_what_came_after_the_checkpoint(undisturbed, tmp_path):
    def fail(record) -> None:
        if record["step"] == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=fail)
    assert checkpoints.complete(tmp_path / "checkpoints")[-1].name == "0000000018"
    run(tmp_path)
    assert_same(tmp_path, undisturbed[0])


def test_a_finished_run_is_only_read(undisturbed):
    folder, fitted = undisturbed
    before = (folder / "metrics.jsonl").read_bytes()
    records = []
    again = run(folder, progress=records.append)
    assert records == []
    assert again.history == fitted.history
    assert again.stopped == "steps"
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_killed_again_and_again(tmp_path):
    """SIGKILL at moments drawn with a seed: within steps, records, validations and checkpoints."""
    script = Path(regression.__file__)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([sys.executable, script, whole], check=True)
    moments = random.Random(0)
    for kill in range(1, KILLS + 1):
        process = subprocess.Popen([sys.executable, script, killed])
        wanted = kill * regression.SETTINGS.steps // (KILLS + 1)
        while _last_step(killed) < wanted and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.03))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    subprocess.run([sys.executable, script, killed], check=True)
    assert_same(whole, killed)


def test_killed_before_the_first_checkpoint(undisturbed, tmp_path):
    script = """
import os, signal, sys, jax, regression
jax.config.update("jax_enable_x64", True)
settings = regression.replace(regression.SHORT, checkpoint_every=1000)
regression.run(sys.argv[1], settings, progress=lambda record: os.kill(os.getpid(), signal.SIGKILL))
"""
    killed = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=Path(regression.__file__).parent)
    assert killed.returncode == -signal.SIGKILL
    assert checkpoints.complete(tmp_path / "checkpoints") == []
    assert [record["step"] for record in read_records(tmp_path / "metrics.jsonl")] == [7]
    run(tmp_path, replace(SETTINGS, checkpoint_every=1000))
    assert_same(tmp_path, undisturbed[0])


def test_a_disk_that_was_full(undisturbed, tmp_path, full_disk):
    def fill(record) -> None:
        if record["step"] == 20:
            limit.enter_context(full_disk(room=10))

    says = r"metrics\.jsonl cannot be written \(file too large\); free it, and the run goes on"
    with ExitStack() as limit, pytest.raises(TrainingError, match=says):
        run(tmp_path, progress=fill)
    assert _last_step(tmp_path) == 18
    run(tmp_path)
    assert_same(tmp_path, undisturbed[0])


def _last_step(folder: Path) -> int:
    return max((int(path.name) for path in checkpoints.complete(folder / "checkpoints")), default=0)


def test_two_at_a_time_are_refused(tmp_path):
    def another(record):
        with pytest.raises(TrainingError, match=r"another process trains in .*run; stop it"):
            run(tmp_path / "run")
        refused.append(record)

    refused = []
    run(tmp_path / "run", progress=another)
    assert refused
    assert run(tmp_path / "run").stopped == "steps"


def test_the_seconds_of_all_sessions_count(tmp_path):
    settings = replace(SETTINGS, steps=10**6, seconds=1.0, checkpoint_every=10**6)
    first = run(tmp_path, settings, progress=regression.interrupt_at(SETTINGS.log_every))
    second = run(tmp_path, settings)
    assert (first.stopped, second.stopped) == ("interrupted", "seconds")
    seconds = [record["seconds"] for record in read_records(tmp_path / "metrics.jsonl")]
    assert seconds == sorted(seconds)
    assert run(tmp_path, settings).state.step == second.state.step


@pytest.fixture
def copied(undisturbed, tmp_path):
    import shutil

    return Path(shutil.copytree(undisturbed[0], tmp_path / "copy"))


def damage(path: Path, how: str) -> None:
    files = sorted((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    if how == "gone":
        (path / "manifest.ocdbt").unlink()
    elif how == "cut":
        files[-1].write_bytes(files[-1].read_bytes()[:100])
    else:
        for file in files:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)


@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(copied, undisturbed, how):
    last = checkpoints.complete(copied / "checkpoints")[-1]
    damage(last, how)
    with pytest.raises(TrainingError, match=r"0000000040 is damaged; delete it, and the run goes on from the"):
        run(copied)
    last.rename(copied / "checkpoints" / "aside")
    run(copied)
    assert_same(copied, undisturbed[0])


def test_every_flipped_bit_of_an_array_is_noticed(tmp_path):
    import orbax.checkpoint

    tree = {"a": np.random.default_rng(0).normal(size=50)}
    checkpoints.save(tmp_path, 1, tree)
    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        held = checkpointer.restore(tmp_path / "0000000001")
        held["['a']"] = held["['a']"].copy()
        held["['a']"].view(np.uint8)[17] ^= 4
        checkpointer.save(tmp_path / "0000000002", held)
    np.testing.assert_array_equal(checkpoints.restore(tmp_path / "0000000001", tree)["a"], tree["a"])
    with pytest.raises(TrainingError, match="0000000002 is damaged"):
        checkpoints.restore(tmp_path / "0000000002", tree)


def test_leftovers_of_kills_are_cleared_away(copied, undisturbed):
    leftover = copied / "checkpoints" / "0000000041.orbax-checkpoint-tmp"
    leftover.mkdir()
    (leftover / "half").write_text("written")
    run(copied)
    assert not leftover.exists()
    assert_same(copied, undisturbed[0])
