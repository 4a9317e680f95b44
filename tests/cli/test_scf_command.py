"""`jqc scf` end to end: results, restarts, exit codes, and one line for every bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

from jqc.cli.main import run
from jqc.units import ANGSTROM, DEBYE, ELECTRONVOLT

ROOT = Path(__file__).parents[2]
MOLECULES = ROOT / "examples" / "molecules"
HYDROGEN = "2\n\nH 0 0 0\nH 0 0 0.75\n"
COMMAND = (sys.executable, "-m", "jqc.cli.main")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of processes that share a compilation cache, empty at first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "TF_"))}
    return kept | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the module's runs read and write."""
    path = tmp_path_factory.mktemp("scf")
    (path / "h2.xyz").write_text(HYDROGEN)
    return path


@pytest.fixture(scope="module")
def solve(environment, folder):
    """Run `jqc scf h2.xyz` with minimal settings and more arguments in a process of its own."""

    def call(*arguments: str) -> subprocess.CompletedProcess:
        options = ("--basis", "sto-3g", "--coulomb", "exact", "--grid-level", "1")
        return subprocess.run(
            [*COMMAND, "scf", str(folder / "h2.xyz"), *options, *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return call


@pytest.fixture(scope="module")
def solved(solve, folder):
    """A converged run with both outputs."""
    return solve("--json", str(folder / "h2.json"), "--save", str(folder / "h2.h5"))


@pytest.fixture(scope="module")
def reference():
    """The same calculation in PySCF."""
    from pyscf import dft, gto

    mole = gto.M(atom=f"H 0 0 0; H 0 0 {0.75 / ANGSTROM}", unit="Bohr", basis="sto-3g", verbose=0)
    solver = dft.RKS(mole, xc="pbe")
    solver.grids.level = 1
    solver.conv_tol = 1e-11
    solver.kernel()
    return solver


# --- results ---


def test_json_holds_the_same_numbers_as_pyscf(solved, folder, reference):
    assert (solved.returncode, solved.stderr) == (0, "")
    numbers = json.loads((folder / "h2.json").read_text())
    gap = (reference.mo_energy[1] - reference.mo_energy[0]) * ELECTRONVOLT
    assert numbers["energy_hartree"] == pytest.approx(reference.e_tot, abs=1e-7)
    assert numbers["homo_lumo_gap_ev"] == pytest.approx(gap, abs=1e-4)
    assert numbers["n_electrons_quadrature"] == pytest.approx(2, abs=1e-3)
    assert sum(numbers["energy_parts_hartree"].values()) == pytest.approx(numbers["energy_hartree"], abs=1e-10)
    np.testing.assert_allclose(numbers["dipole_debye"], reference.dip_moment(unit="AU", verbose=0) * DEBYE, atol=1e-5)
    np.testing.assert_allclose(numbers["mulliken_charges"], [0, 0], atol=1e-6)
    assert numbers["converged"] is True
    assert numbers["iterations"] >= 1
    assert numbers["s2"] == 0
    assert set(numbers["seconds"]) == {"integrals", "grid", "compile", "scf", "total"}
    assert all(value > 0 for value in numbers["seconds"].values())
    assert numbers["settings"]["functional"] == "pbe"
    assert numbers["settings"]["basis"] == "sto-3g"
    assert {"jqc", "jax", "pyscf"} <= set(numbers["versions"])


def test_prints_a_line_per_iteration_and_a_summary(solved, folder):
    numbers = json.loads((folder / "h2.json").read_text())
    lines = solved.stdout.splitlines()
    assert lines[0].split()[0] == "iteration"
    assert [line.split()[0] for line in lines[1 : 1 + numbers["iterations"]]] == [
        str(iteration + 1) for iteration in range(numbers["iterations"])
    ]
    assert f"{numbers['energy_hartree']:.10f} Eh" in solved.stdout
    assert "converged" in solved.stdout


def test_saved_file_holds_the_solution_with_units(solved, folder, reference):
    numbers = json.loads((folder / "h2.json").read_text())
    with h5py.File(folder / "h2.h5") as file:
        np.testing.assert_allclose(file["dm"], reference.make_rdm1(), atol=1e-5)
        np.testing.assert_allclose(file["coords"], [[0, 0, 0], [0, 0, 0.75 / ANGSTROM]])
        np.testing.assert_array_equal(file["numbers"], [1, 1])
        np.testing.assert_allclose(file["occupations"], [2, 0])
        assert file["mo_coeff"].shape == (2, 2)
        assert float(file["energy"][()]) == numbers["energy_hartree"]
        assert file["mo_energy"].attrs["unit"] == file["energy"].attrs["unit"] == "hartree"
        assert file["coords"].attrs["unit"] == "bohr"
        assert (file.attrs["charge"], file.attrs["spin"]) == (0, 0)
        assert (file.attrs["basis"], file.attrs["functional"]) == ("sto-3g", "pbe")
        assert "jax" in json.loads(file.attrs["versions"])


def test_restarts_from_a_saved_density_with_a_warm_cache(solve, solved, folder):
    again = solve("--guess", str(folder / "h2.h5"), "--json", str(folder / "again.json"))
    assert (again.returncode, again.stderr) == (0, "")
    first, second = (json.loads((folder / name).read_text()) for name in ("h2.json", "again.json"))
    assert second["energy_hartree"] == pytest.approx(first["energy_hartree"], abs=1e-10)
    assert second["iterations"] <= 2


def test_exit_code_3_without_convergence_and_outputs_that_say_so(solve, solved, folder):
    (folder / "h2.xyz").write_text(HYDROGEN)
    stopped = solve("--guess", "core", "--max-iterations", "1", "--json", str(folder / "stopped.json"))
    assert stopped.returncode == 3
    assert "not converged after 1 iterations" in " ".join(stopped.stdout.split())
    assert json.loads((folder / "stopped.json").read_text())["converged"] is False


# --- interruption ---


def test_interrupt_ends_at_once_with_code_130_and_without_files(environment, tmp_path):
    # A background job inherits that interrupts are ignored, which jqc respects.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = (sys.executable, "-c", listening + "from jqc.cli.main import main; main()")
    geometry, output = str(MOLECULES / "ethanol.xyz"), str(tmp_path / "a.json")
    process = subprocess.Popen(
        [*command, "scf", geometry, "--basis", "sto-3g", "--json", output],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("iteration")  # integrals are done, compilation begins
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - start < 5
    assert errors == "jqc: interrupted.\n"
    assert list(tmp_path.iterdir()) == []


# --- bad input ---


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A working folder with a good geometry, and this process as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path.parent / "unused"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    (tmp_path / "h2.xyz").write_text(HYDROGEN)
    before = jax.config.read("jax_enable_x64")
    yield tmp_path
    jax.config.update("jax_enable_x64", before)


def refused(arguments: list[str], folder: Path, capsys) -> str:
    """The one line that a refused command prints; no file appears and none changes."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(["scf", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("jqc: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    return errors


GEOMETRIES = {
    "empty": ("", "is empty"),
    "wrong count": ("3\n\nH 0 0 0\nH 0 0 1\n", "3 atoms are announced"),
    "text for a number": ("2\n\nH 0 0 0\nH 0 0 far\n", "'far' is not a number"),
    "unknown element": ("2\n\nH 0 0 0\nQq 0 0 1\n", "'Qq' is no element"),
    "too close": ("2\n\nH 0 0 0\nH 0 0 0.1\n", "Atoms H1 and H2 are 0.100 Å apart"),
    "NaN": ("2\n\nH 0 0 0\nH 0 0 NaN\n", "'NaN' is not finite"),
    "spin": ("2\nspin=1\nH 0 0 0\nH 0 0 1\n", "give spin 0, 2"),
    "no electrons": ("1\ncharge=1\nH 0 0 0\n", "leaves 0 electrons"),
    "binary": ("\x00\x01\x02", "expected the number of atoms"),
}


@pytest.mark.parametrize(("content", "message"), GEOMETRIES.values(), ids=GEOMETRIES)
def test_refuses_geometries(content, message, workplace, capsys):
    (workplace / "bad.xyz").write_text(content)
    line = refused(["bad.xyz", "--json", "out.json", "--save", "out.h5"], workplace, capsys)
    assert line.startswith("jqc: bad.xyz")
    assert message in line


OPTIONS = {
    "missing file": (["missing.xyz"], "missing.xyz cannot be read"),
    "file name over two lines": (["a\nb.xyz"], "cannot be read"),
    "folder": (["."], "cannot be read (is a directory)"),
    "spin": (["h2.xyz", "--spin", "1"], "give spin 0, 2"),
    "charge": (["h2.xyz", "--charge", "2"], "leaves 0 electrons"),
    "negative spin": (["h2.xyz", "--spin", "-2"], "Spin -2"),
    "functional": (["h2.xyz", "--xc", "pbee"], "pbe"),
    "basis": (["h2.xyz", "--basis", "def2-svpp"], "def2-svpp"),
    "grid level": (["h2.xyz", "--grid-level", "12"], "12"),
    "guess": (["h2.xyz", "--guess", "hückel"], "choose minao, atom, core or a file"),
    "guess file": (["h2.xyz", "--guess", "missing.h5"], "missing.h5 cannot be read"),
    "guess no HDF5": (["h2.xyz", "--guess", "h2.h5"], "h2.h5 holds no saved density"),
    "memory that does not suffice": (["h2.xyz", "--memory", "200MB"], "takes 1.1"),
    "no amount of memory": (["h2.xyz", "--memory", "lots"], "write it as 8GB"),
    "exchange that is not there": (["h2.xyz", "--xc", "b3lyp", "--exchange", "none"], "choose 'df' or 'grid'"),
    "output in no folder": (["h2.xyz", "--json", "none/out.json"], "none/out.json cannot be written"),
    "output is a folder": (["h2.xyz", "--save", "."], "cannot be written"),
    "outputs are one": (["h2.xyz", "--json", "out", "--save", "./out"], "name out twice"),
    "output is the input": (["h2.xyz", "--json", "h2.xyz"], "name h2.xyz twice"),
}


@pytest.mark.parametrize(("arguments", "message"), OPTIONS.values(), ids=OPTIONS)
def test_refuses_options(arguments, message, workplace, capsys):
    (workplace / "h2.h5").write_bytes(b"no HDF5")
    assert message in refused(arguments, workplace, capsys)


def test_refuses_a_basis_that_lacks_an_element(workplace, capsys):
    (workplace / "uranium.xyz").write_text("1\n\nU 0 0 0\n")
    assert "U" in refused(["uranium.xyz", "--basis", "6-31g"], workplace, capsys)


def saved(path: Path, **changes) -> None:
    """A file as `--save` writes it, as far as `--guess` reads it."""
    content = {"dm": np.eye(2), "numbers": [1, 1], "basis": "sto-3g"} | changes
    with h5py.File(path, "w") as file:
        file["dm"], file["numbers"] = content["dm"], content["numbers"]
        file.attrs["basis"] = content["basis"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numbers": [1, 2]}, "other atoms"),
        ({"basis": "def2-svp"}, "run with --basis def2-svp"),
        ({"dm": np.full((2, 2), np.nan)}, "not finite"),
        ({"dm": "text"}, "no saved density"),
    ],
)
def test_refuses_a_density_of_something_else(changes, message, workplace, capsys):
    saved(workplace / "guess.h5", **changes)
    line = refused(["h2.xyz", "--basis", "STO-3G", "--guess", "guess.h5"], workplace, capsys)
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scf", "h2.xyz", "--bassis", "sto-3g"], "--basis"),
        (["scff", "h2.xyz"], "scf"),
        (["scf"], "FILE"),
        (["scf", "h2.xyz", "--coulomb", "fast"], "exact"),
        (["scf", "h2.xyz", "--charge", "one"], "--charge"),
        ([], "scf"),
    ],
)
def test_usage_errors_help(arguments, message, workplace, capsys):
    with pytest.raises(SystemExit) as end:
        run(arguments)
    assert end.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert message in errors
    assert sorted(path.name for path in workplace.iterdir()) == ["h2.xyz"]
