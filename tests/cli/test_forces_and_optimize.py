"""`jqc forces` and `jqc optimize` end to end."""

import json

import numpy as np
import pytest

from jqc.cli.main import run

HYDROGEN = "2\n\nH 0 0 0\nH 0 0 0.80\n"
OPTIONS = ("--basis", "6-31g", "--grid-level", "1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path.parent / "programs"))
    (tmp_path / "h2.xyz").write_text(HYDROGEN)
    return tmp_path


def test_forces(folder, capsys):
    assert run(["forces", "h2.xyz", *OPTIONS, "--json", "out.json"]) == 0
    numbers = json.loads((folder / "out.json").read_text())
    found = np.array(numbers["forces_hartree_per_bohr"])
    assert found.shape == (2, 3)
    assert found[0, 2] > 0.01  # pulled together
    assert abs(found.sum()) < 1e-5
    assert numbers["energy_hartree"] == pytest.approx(-1.16, abs=0.02)
    printed = capsys.readouterr().out
    assert "force / (Eh/bohr)" in printed
    assert "H2" in printed


def test_forces_of_an_unconverged_density_are_not_given(folder):
    assert run(["forces", "h2.xyz", *OPTIONS, "--max-iterations", "1", "--json", "out.json"]) == 3
    numbers = json.loads((folder / "out.json").read_text())
    assert numbers["forces_hartree_per_bohr"] is None
    assert not numbers["converged"]


def test_optimize(folder, capsys):
    arguments = ["optimize", "h2.xyz", *OPTIONS, "--json", "out.json", "--save", "out.xyz"]
    assert run(arguments) == 0
    numbers = json.loads((folder / "out.json").read_text())
    assert numbers["converged"]
    length = np.linalg.norm(np.subtract(*numbers["positions_angstrom"]))
    assert length == pytest.approx(0.755, abs=0.01)
    assert np.abs(numbers["forces_hartree_per_bohr"]).max() < 0.01 / 51.4
    assert (folder / "out.xyz").read_text().startswith("2\n")
    assert "position / Å" in capsys.readouterr().out


def test_optimize_that_runs_out_of_steps(folder):
    assert run(["optimize", "h2.xyz", *OPTIONS, "--steps", "1", "--json", "out.json"]) == 3
    assert not json.loads((folder / "out.json").read_text())["converged"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forces", "none.xyz"], "none.xyz"),
        (["forces", "h2.xyz", "--json", "h2.xyz"], "twice"),
        (["optimize", "h2.xyz", "--fmax", "-1"], "positive force"),
        (["optimize", "h2.xyz", "--json", "a.json", "--save", "a.json"], "twice"),
    ],
)
def test_bad_input(arguments, message, folder, capsys):
    assert run(arguments) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["h2.xyz"]
