"""`jqc md`: from a geometry to a trajectory, killed and resumed, and what is refused."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jqc.cli.main import run
from jqc.md.trajectory import read

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

ARGON = """
file = "{file}"
dt = 5.0
steps = 400
stride = 10
chunk = 5
temperature = 90.0

[potential]
kind = "lennard-jones"

[ensemble]
kind = "langevin"
friction = 0.001
"""


@pytest.fixture
def box(tmp_path):
    """64 atoms of argon in a box of 22 Å."""
    places = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 5.5
    path = tmp_path / "argon.xyz"
    lines = "".join(f"Ar {x} {y} {z}\n" for x, y, z in places)
    path.write_text(f'64\nLattice="22 0 0 0 22 0 0 0 22" Properties=species:S:1:pos:R:3 pbc="T T T"\n{lines}')
    return path


@pytest.fixture
def config(box, tmp_path):
    path = tmp_path / "argon.toml"
    path.write_text(ARGON.format(file=box))
    return path


def refused(capsys, *arguments: object) -> str:
    assert run(["md", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    return error


def test_from_a_geometry_to_files(config, tmp_path, capsys):
    out, also = tmp_path / "run", tmp_path / "run.xyz"
    assert run(["md", str(config), "--out", str(out), "--also", str(also), str(tmp_path / "run.h5")]) == 0
    told = capsys.readouterr().out
    assert "steps/s" in told
    assert "ns/day" in told
    assert "400 steps, 2 ps" in told
    found = read(out)
    assert found.frames.step.tolist() == list(range(10, 410, 10))
    assert found.subject.numbers.tolist() == [18] * 64
    kelvin = np.asarray(found.frames.temperature) * 315775.0
    assert 40 < kelvin.mean() < 140
    assert also.read_text().count("Lattice") == 40


def test_more_steps_go_on(config, tmp_path, capsys):
    for out, steps in (("one", "200"), ("one", "400"), ("other", "400")):
        assert run(["md", str(config), "--out", str(tmp_path / out), "--steps", steps]) == 0
    one, other = (read(tmp_path / name).frames for name in ("one", "other"))
    np.testing.assert_array_equal(one.positions, other.positions)
    np.testing.assert_array_equal(one.step, other.step)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_started_again_it_makes_the_same_frames(how, config, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "jqc.cli.main", "md", str(config), "--steps", "6000", "--out"]
    assert subprocess.run([*command, str(whole)], capture_output=True).returncode == 0
    job = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(out.glob("frames-*"))) < 3:
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(how)
    assert job.wait() == (130 if how == signal.SIGINT else -how)
    assert subprocess.run([*command, str(out)], capture_output=True).returncode == 0
    np.testing.assert_array_equal(read(out).frames.positions, read(whole).frames.positions)


def test_water_by_the_scf(tmp_path):
    out = tmp_path / "water"
    flags = [
        "--file",
        str(MOLECULES / "water.xyz"),
        "--xc",
        "slater",
        "--basis",
        "sto-3g",
        "--steps",
        "4",
        "--stride",
        "2",
    ]
    assert run(["md", *flags, "--out", str(out)]) == 0
    found = read(out)
    assert found.frames.properties["dipole"].shape == (2, 3)
    assert found.subject.dt == pytest.approx(0.5 / 0.0241888432658)


def test_an_ase_calculator(tmp_path):
    from ase.build import molecule
    from ase.io import write

    write(tmp_path / "co.xyz", molecule("CO"))
    flags = ["--file", str(tmp_path / "co.xyz"), "--potential", "ase", "--steps", "20", "--dt", "0.2"]
    assert run(["md", *flags, "--out", str(tmp_path / "run")]) == 0
    assert np.ptp(np.asarray(read(tmp_path / "run").frames.conserved)) < 1e-4


def test_what_explodes_ends_with_a_report(config, tmp_path, capsys):
    assert run(["md", str(config), "--out", str(tmp_path / "run"), "--dt", "2000", "--ensemble", "nve"]) == 3
    assert "went wrong by step" in capsys.readouterr().err


def test_refusals(config, box, tmp_path, capsys):
    out = tmp_path / "run"
    assert "ensemble.kind is 'nvt'; give nve" in refused(capsys, config, "--out", out, "--ensemble", "nvt")
    assert "give scf" in refused(capsys, config, "--out", out, "--potential", "magic")
    assert "no file" in refused(capsys, "--file", tmp_path / "none.xyz", "--out", out)
    assert "no geometry" in refused(capsys, "--out", out)
    assert "dt is -1" in refused(capsys, config, "--out", out, "--dt", "-1")
    assert "multiple of the stride" in refused(capsys, config, "--out", out, "--steps", "15")
    assert "suffix" in refused(capsys, config, "--out", out, "--also", "run.pdf")
    assert "free space" in refused(capsys, "--file", box, "--potential", "scf", "--out", out)
    path = tmp_path / "typo.toml"
    path.write_text(config.read_text().replace("friction", "fraction"))
    assert "no 'fraction'" in refused(capsys, path, "--out", out)
    path.write_text("file = [")
    assert "no TOML" in refused(capsys, path, "--out", out)
    assert not out.exists()
    assert run(["md", str(config), "--out", str(out), "--steps", "50"]) == 0
    assert "another dt" in refused(capsys, config, "--out", out, "--dt", "1")
    (out / "restart.npz").write_bytes(b"")
    assert "damaged" in refused(capsys, config, "--out", out)


def test_observe(config, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(["md", str(config), "--out", str(out)]) == 0
    capsys.readouterr()
    figure, numbers = tmp_path / "fluid.png", tmp_path / "fluid.json"
    what = ["energy", "rdf", "msd", "vdos", "rmsd"]
    options = ["--skip", "5", "--plot", str(figure), "--json", str(numbers)]
    assert run(["observe", str(out), *options, "--what", *what]) == 0
    told = capsys.readouterr().out
    assert "temperature K" in told
    assert "diffusivity" in told
    assert figure.stat().st_size > 10_000
    found = json.loads(numbers.read_text())
    assert list(found) == what
    assert max(found["rdf"]["distance / Å"]) < 11.0
    assert found["rdf"]["numbers"]["first maximum Å"]["value"] == pytest.approx(3.8, abs=0.6)
    # Friction reaches all velocities.
    assert found["vdos"]["numbers"]["modes"]["value"] == pytest.approx(3 * 64, rel=0.1)
    for arguments, words in (
        (["--what", "ir"], "holds no dipole"),
        (["--what", "h"], "ask for rdf"),
        (["--what", "magic"], "choose energy"),
        (["--skip", "40"], "give 0 to 39"),
        (["--plot", "a.txt"], "no figure"),
    ):
        assert run(["observe", str(out), *arguments]) == 2
        assert words in capsys.readouterr().err
    assert run(["observe", str(tmp_path)]) == 2
    assert "holds no trajectory" in capsys.readouterr().err


def test_free_energies(config, tmp_path, capsys):
    plain, biased = tmp_path / "plain", tmp_path / "biased"
    assert run(["md", str(config), "--out", str(plain)]) == 0
    config.write_text(
        config.read_text()
        + '\n[metadynamics]\nvariables = ["distance 0 1", "angle 0 1 2"]\nwidths = [0.2, 0.2]\npace = 10\n'
    )
    assert run(["md", str(config), "--out", str(biased)]) == 0
    capsys.readouterr()
    numbers = tmp_path / "free.json"
    for arguments in ([str(plain), "--along", "distance 0 1"], [str(biased)]):
        assert run(["observe", *arguments, "--what", "free-energy", "--json", str(numbers)]) == 0
        found = json.loads(numbers.read_text())["free-energy"]
        energies = found["free energy / eV"]
        assert min(energies) == 0
        assert 0 < found["numbers"]["highest eV"]["value"] == pytest.approx(max(energies))
        assert 1 < found["distance / Å"][int(np.argmin(energies))] < 12
    assert "of 40 hills" in capsys.readouterr().out
    for arguments, words in (
        ([str(plain)], "has no bias"),
        ([str(biased), "--along", "distance 0 1"], "cannot be counted"),
        ([str(plain), "--along", "distance 0"], "cannot be read"),
    ):
        assert run(["observe", *arguments, "--what", "free-energy"]) == 2
        assert words in capsys.readouterr().err
