"""`jqc label` as users run it: a store, killed and resumed, with failures and bad input."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jqc.cli.main import run
from jqc.data.store import open_store

QUICK = ("--basis", "sto-3g", "--grid-level", "0", "--derivatives", "1", "--xc", "pbe0")

FRAMES = 4


def frame(distance: float, element: str = "H") -> str:
    return f"2\nname=pair\n{element} 0 0 0\n{element} 0 0 {distance}\n"


@pytest.fixture
def molecules(tmp_path) -> Path:
    path = tmp_path / "pairs.xyz"
    path.write_text("".join(frame(0.7 + 0.05 * k) for k in range(FRAMES)))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_store_of_labels(molecules, tmp_path, capsys):
    out = tmp_path / "labels"
    assert run(["label", str(molecules), "--out", str(out), *QUICK]) == 0
    store = open_store(out)
    assert store.names() == [f"pairs-{k:05d}" for k in range(FRAMES)]
    record = store.read("pairs-00001")
    assert record.attributes["name"] == "pair"
    assert record.units["energy"] == "hartree"
    assert record.arrays["hessian_products"].shape == record.arrays["tangents"].shape == (1, 1, 1, 1)
    assert np.diff([float(store.read(name).arrays["energy"]) for name in store.names()]).all()
    before = contents(out)
    assert run(["label", str(molecules), "--out", str(out), *QUICK]) == 0
    assert "4 done before" in capsys.readouterr().out
    assert contents(out) == before


def test_killed_and_started_again_it_makes_the_same_store(molecules, tmp_path):
    def command(out: Path) -> list[str]:
        return [sys.executable, "-m", "jqc.cli.main", "label", str(molecules), "--out", str(out), *QUICK]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(killed.glob("*.h5")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(killed.glob("*.h5"))) < FRAMES
    subprocess.run(command(killed), check=True, capture_output=True)
    assert contents(killed) == contents(tmp_path / "whole")


def test_a_molecule_that_fails_is_noted_and_skipped(molecules, tmp_path, capsys):
    with molecules.open("a") as file:
        file.write(frame(2.0, "Rn"))
    out = tmp_path / "labels"
    arguments = ["label", str(molecules), "--out", str(out), *QUICK]
    assert run(arguments) == 3
    assert [*open_store(out).failures()] == [f"pairs-{FRAMES:05d}"]
    assert "Rn" in capsys.readouterr().err
    assert run(arguments) == 3
    assert "5 done before" in capsys.readouterr().out


def test_bad_input(molecules, tmp_path, capsys):
    out = str(tmp_path / "labels")
    spaced, keyed = tmp_path / "two words.xyz", tmp_path / "keyed.xyz"
    spaced.write_text(frame(0.7))
    keyed.write_text(frame(0.7).replace("name=", "2theta="))
    bad = {
        "no such file": [str(tmp_path / "none.xyz"), "--out", out],
        "0 workers|--workers is 0": [str(molecules), "--out", out, "--workers", "0"],
        "b3lip": [str(molecules), "--out", out, "--xc", "b3lip"],
        "unknown basis": [str(molecules), "--out", out, "--basis", "sto-3"],
        "name of another": [str(molecules), str(molecules), "--out", out],
        "grid level 77": [str(molecules), "--out", out, "--grid-level", "77"],
        "two words.xyz: 'two words-00000' cannot name": [str(spaced), "--out", out],
        "keyed.xyz: '2theta' cannot name": [str(keyed), "--out", out],
    }
    for words, arguments in bad.items():
        assert run(["label", *arguments]) == 2
        error = capsys.readouterr().err
        assert any(each in error for each in words.split("|")), error
        assert len(error.splitlines()) == 1
        assert not Path(out).exists()


def test_labels_of_another_geometry_are_not_taken_for_done(molecules, tmp_path, capsys):
    out = tmp_path / "labels"
    arguments = ["label", str(molecules), "--out", str(out), *QUICK]
    assert run(arguments) == 0
    molecules.write_text(molecules.read_text().replace("0.75", "0.76"))
    before = contents(out)
    assert run(arguments) == 2
    assert "pairs-00001.h5 is the label of another molecule" in capsys.readouterr().err
    assert contents(out) == before
    (out / "pairs-00001.h5").unlink()
    assert run(arguments) == 0
    assert "3 done before" in capsys.readouterr().out


def test_a_store_keeps_its_settings(molecules, tmp_path, capsys):
    out = str(tmp_path / "labels")
    assert run(["label", str(molecules), "--out", out, *QUICK]) == 0
    assert run(["label", str(molecules), "--out", out, *QUICK, "--seed", "1"]) == 2
    error = capsys.readouterr().err
    assert "store.json" in error
    assert "seed" in error
