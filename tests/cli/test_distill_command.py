"""`jqc label`, `jqc distill` and the functional they make, end to end on a few diatomics; and what is refused."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jqc
from jqc.cli.interrupt import INTERRUPTED
from jqc.cli.main import run
from jqc.xc.neural.files import read_provenance

QUICK = ("--basis", "sto-3g", "--grid-level", "0", "--derivatives", "1", "--xc")

PAIRS = (("H", "H", 0.74), ("H", "H", 0.90), ("Li", "H", 1.60))

CONFIG = """
data = "{data}"
model = "nn-mgga"
grid_level = 0

[options]
width = 4
depth = 1

[loss]
name = "{loss}"

[training]
steps = 3
batch_size = 2
validate_every = 3
"""


@pytest.fixture(scope="module")
def labels(tmp_path_factory, teacher) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    path = folder / "pairs.xyz"
    path.write_text("".join(f"2\n\n{a} 0 0 0\n{b} 0 0 {r}\n" for a, b, r in PAIRS))
    assert run(["label", str(path), "--out", str(folder / "store"), *QUICK, teacher]) == 0
    return folder / "store"


@pytest.fixture
def config(labels, tmp_path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG.format(data=labels, loss="e-rho"))
    return path


def refused(capsys, *arguments: object) -> str:
    assert run(["distill", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    return error


def test_from_labels_to_a_functional(config, labels, teacher, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(["distill", str(config), "--out", str(out)]) == 0
    assert "stopped: steps" in capsys.readouterr().out
    assert (out / "learning_curves.png").stat().st_size > 10_000
    assert json.loads((out / "config.json").read_text())["model"] == "nn-mgga"
    provenance = read_provenance(out / "functional.npz")
    assert sorted(provenance["examples"].values()) == [1, 2]  # hydrogen twice, and the hydride
    assert provenance["labels"]["functional"] == teacher
    hydrogen = jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]])
    result = jqc.scf(jqc.build_system(hydrogen, "sto-3g", grid_level=0), jqc.functional(str(out)))
    assert result.converged
    # A finished run is only read again; another one is refused.
    before = (out / "functional.npz").read_bytes()
    assert run(["distill", str(config), "--out", str(out)]) == 0
    assert (out / "functional.npz").read_bytes() == before
    assert "steps" in refused(capsys, config, "--out", out, "--steps", 4)
    assert "loss name" in refused(capsys, config, "--out", out, "--loss", "commutator")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("grid_level", "grid_levels"), "did you mean grid_level?"),
        (("steps = 3", "step = 3"), "the training has no 'step'; did you mean steps"),
        (("width = 4", "widht = 4"), "widht"),
        (('model = "nn-mgga"', 'model = "nn-mgge"'), "nn-mgge"),
        (("name =", "nema ="), "nema"),
        (("steps = 3", "steps = three"), "no TOML file"),
    ],
)
def test_a_wrong_configuration_is_refused(config, tmp_path, capsys, change, words):
    config.write_text(config.read_text().replace(*change))
    error = refused(capsys, config, "--out", tmp_path / "run")
    assert words in error
    assert str(config) in error
    assert not (tmp_path / "run").exists()


def test_labels_that_cannot_be_learned_from_are_refused(labels, config, tmp_path, capsys):
    out = ("--out", tmp_path / "run")
    assert "data is missing" in refused(capsys, *out)
    assert "no store.json" in refused(capsys, "--data", tmp_path, *out)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in labels.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    record = copy / "pairs-00001.h5"
    record.write_bytes(record.read_bytes()[:-1000])
    error = refused(capsys, "--data", copy, *out)
    assert "pairs-00001.h5" in error
    assert "delete it" in error
    other = tmp_path / "other"
    assert run(["label", str(labels.parent / "pairs.xyz"), "--out", str(other), *QUICK, "slater"]) == 0
    capsys.readouterr()
    assert "functional = slater" in refused(capsys, "--data", labels, "--validation", other, *out)
    assert not (tmp_path / "run").exists()


def test_a_table_that_is_none_is_refused(config, tmp_path, capsys):
    config.write_text(config.read_text().split("[options]")[0] + "training = 5\n")
    assert "training is 5; give a table" in refused(capsys, config, "--out", tmp_path / "run")


def test_an_interrupt_lets_the_step_finish(config, tmp_path):
    """And leaves a checkpoint from which the run goes on; the functional is written at the end only."""
    config.write_text(config.read_text().replace("steps = 3", "steps = 1000000"))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "jqc.cli.main", "distill", str(config), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    metrics = out / "training" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED
    assert "interrupted after" in printed
    steps = int(printed.split("interrupted after ")[1].split()[0])
    assert max(int(path.name) for path in (out / "training" / "checkpoints").iterdir()) == steps
    assert not (out / "functional.npz").exists()


def test_two_processes_train_as_one(config, tmp_path):
    """And one process does what they do, as far as single precision tells; the first alone prints and writes."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [sys.executable, "-m", "jqc.cli.main", "distill", str(config), "--out", str(tmp_path / "two")]
    group = ["--coordinator", address, "--processes", "2", "--process-id"]
    started = [subprocess.Popen([*command, *group, each], stdout=subprocess.PIPE, text=True) for each in "01"]
    printed = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert ["stopped: steps" in each for each in printed] == [True, False]
    assert run(["distill", str(config), "--out", str(tmp_path / "one")]) == 0
    one, two = (jax.tree.leaves(jqc.functional(str(tmp_path / name))) for name in ("one", "two"))
    for here, there in zip(one, two, strict=True):
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-6)


def test_places_in_a_group_that_are_none_are_refused(config, tmp_path, capsys):
    out = (config, "--out", tmp_path / "run")
    assert "give its --coordinator too" in refused(capsys, *out, "--processes", 2)
    place = ("--coordinator", "localhost:1234", "--processes", 2, "--process-id", 2)
    assert "process_id is 2 of 2; give 0 to 1" in refused(capsys, *out, *place)
    assert not (tmp_path / "run").exists()
