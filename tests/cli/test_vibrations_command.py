"""`jqc vibrations` end to end."""

import json

import numpy as np
import pytest

from jqc.cli.main import run

HYDROGEN = "2\n\nH 0 0 0\nH 0 0 0.77\n"
OPTIONS = ("--basis", "6-31g", "--grid-level", "1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path.parent / "programs"))
    (tmp_path / "h2.xyz").write_text(HYDROGEN)
    (tmp_path / "h.xyz").write_text("1\nspin=1\nH 0 0 0\n")
    return tmp_path


def test_vibrations(folder, capsys):
    assert run(["vibrations", "h2.xyz", *OPTIONS, "--json", "out.json", "--plot", "out.png"]) == 0
    numbers = json.loads((folder / "out.json").read_text())
    (frequency,) = numbers["frequencies_cm1"]
    assert 3800 < frequency < 4600
    assert numbers["ir_intensities_km_per_mol"] == pytest.approx([0.0], abs=1e-4)
    assert numbers["raman_activities_a4_per_amu"][0] > 10
    assert np.shape(numbers["polarizability_au"]) == (3, 3)
    assert numbers["thermochemistry"]["symmetry_number"] == 2
    assert not numbers["stationary"]
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr()
    assert "ideal gas at 298.15 K" in printed.out
    assert "the geometry is not stationary" in printed.err


def test_vibrations_without_raman(folder):
    assert run(["vibrations", "h2.xyz", *OPTIONS, "--no-raman", "--json", "out.json"]) == 0
    numbers = json.loads((folder / "out.json").read_text())
    assert numbers["raman_activities_a4_per_amu"] is None
    assert len(numbers["frequencies_cm1"]) == 1


def test_an_unconverged_density_gets_no_answers(folder):
    arguments = ["vibrations", "h2.xyz", *OPTIONS, "--max-iterations", "1", "--json", "out.json", "--plot", "o.png"]
    assert run(arguments) == 3
    numbers = json.loads((folder / "out.json").read_text())
    assert not numbers["converged"]
    assert numbers["frequencies_cm1"] is None
    assert not (folder / "o.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vibrations", "h2.xyz", "--temperature", "-1"), "--temperature is -1.0"),
        (("vibrations", "h2.xyz", "--plot", "out.txt"), "no figure that can be written"),
        (("vibrations", "h2.xyz", "--plot", "nowhere/out.png"), "its folder does not exist"),
        (("vibrations", "h2.xyz", "--json", "o.png", "--plot", "o.png"), "twice"),
        (("vibrations", "h.xyz"), "holds one atom"),
    ],
)
def test_bad_input(folder, capsys, arguments, message):
    assert run(list(arguments)) == 2
    assert message in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == {"h2.xyz", "h.xyz"}
