"""`jqc excite` end to end."""

import json

import numpy as np
import pytest

from jqc.cli.main import run

OPTIONS = ("--basis", "6-31g", "--grid-level", "1")
STATES = ("excitation_energies_ev", "wavelengths_nm", "oscillator_strengths", "multiplicity", "orbital_pairs")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path.parent / "programs"))
    (tmp_path / "h2.xyz").write_text("2\n\nH 0 0 0\nH 0 0 0.75\n")
    (tmp_path / "far.xyz").write_text("2\n\nH 0 0 0\nH 0 0 2.5\n")
    (tmp_path / "h.xyz").write_text("1\nspin=1\nH 0 0 0\n")
    return tmp_path


def test_singlets_and_triplets(folder, capsys):
    arguments = ["excite", "h2.xyz", *OPTIONS, "--states", "2", "--triplets", "--json", "out.json", "--plot", "out.png"]
    assert run(arguments) == 0
    numbers = json.loads((folder / "out.json").read_text())
    energies = numbers["excitation_energies_ev"]
    assert energies == sorted(energies)
    assert sorted(numbers["multiplicity"]) == ["singlet"] * 2 + ["triplet"] * 2
    assert {len(numbers[name]) for name in STATES} == {4}
    singlet, triplet = (numbers["multiplicity"].index(name) for name in ("singlet", "triplet"))
    assert triplet < singlet
    assert numbers["oscillator_strengths"][triplet] == 0.0
    assert np.shape(numbers["transition_dipoles_au"]) == (4, 3)
    strength = 2 / 3 * energies[singlet] / 27.2114 * np.sum(np.square(numbers["transition_dipoles_au"][singlet]))
    assert numbers["oscillator_strengths"][singlet] == pytest.approx(strength, rel=1e-4)
    assert numbers["wavelengths_nm"][0] == pytest.approx(1239.84 / energies[0], rel=1e-5)
    (pair,) = numbers["orbital_pairs"][0]
    assert (pair["from"], pair["to"]) == ("HOMO", "LUMO")
    assert pair["weight"] == pytest.approx(1.0, abs=0.02)
    assert numbers["stable"]
    assert numbers["settings"]["triplets"]
    assert numbers["energy_hartree"] < -1.1
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "HOMO → LUMO" in printed
    assert "λ / nm" in printed


def test_open_shell_by_tamm_dancoff(folder, capsys):
    assert run(["excite", "h.xyz", "--grid-level", "1", "--states", "3", "--tda", "--json", "out.json"]) == 0
    numbers = json.loads((folder / "out.json").read_text())
    assert numbers["multiplicity"] == ["unrestricted"] * 3
    assert numbers["settings"]["tda"]
    assert "α HOMO → α LUMO" in capsys.readouterr().out


def test_an_unstable_density_is_told(folder, capsys):
    arguments = ["excite", "far.xyz", *OPTIONS, "--states", "1", "--triplets", "--json", "out.json"]
    assert run(arguments) == 2
    assert "--tda" in capsys.readouterr().err
    assert not (folder / "out.json").exists()
    assert run([*arguments, "--tda"]) == 0
    assert "unstable" in capsys.readouterr().err
    numbers = json.loads((folder / "out.json").read_text())
    assert not numbers["stable"]
    assert numbers["lowest_orbital_hessian_hartree"] < -0.01


def test_an_unconverged_density_has_no_states(folder, capsys):
    arguments = ["excite", "h2.xyz", *OPTIONS, "--max-iterations", "1", "--json", "out.json", "--plot", "out.svg"]
    assert run([*arguments, "--states", "1"]) == 3
    assert "no excited states" in capsys.readouterr().err
    numbers = json.loads((folder / "out.json").read_text())
    assert numbers["excitation_energies_ev"] is None
    assert not numbers["converged"]
    assert not (folder / "out.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["h2.xyz", "--states", "0"], "1 to "),
        (["h2.xyz", "--basis", "6-31g", "--states", "4"], "1 to 3"),
        (["h.xyz", "--triplets"], "closed shell"),
        (["h2.xyz", "--width", "0"], "positive width"),
        (["h2.xyz", "--plot", "out.txt"], "no figure"),
        (["h2.xyz", "--plot", "none/out.png"], "cannot be written"),
        (["h2.xyz", "--plot", "a.png", "--json", "a.png"], "twice"),
    ],
)
def test_bad_input_is_refused_before_any_work(arguments, message, folder, capsys):
    before = sorted(folder.iterdir())
    assert run(["excite", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "iteration" not in printed.out
    assert sorted(folder.iterdir()) == before
