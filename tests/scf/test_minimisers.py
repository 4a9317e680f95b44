"""Newton and direct minimisation: the same minima as DIIS, minima where DIIS fails, and the way down from a saddle."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import jqc
from jqc.errors import ConvergenceError, InputError
from jqc.scf import SCFSettings
from jqc.scf.stability import follow, stability
from jqc.system import Molecule, build_system

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

SAME_MINIMUM = 1e-8
"""Hartree; both converged to 1e-9."""

TIGHT = SCFSettings(energy_tolerance=1e-9, residual_tolerance=1e-6)


@cache
def system(name: str, **options):
    return build_system(Molecule.from_xyz(MOLECULES / f"{name}.xyz"), grid_level=1, **options)


def diatomic(first: str, second: str, length: float, spin: int = 0, basis: str = "def2-svp"):
    """Two atoms at a distance in Å."""
    molecule = Molecule.from_arrays([first, second], [[0.0, 0.0, 0.0], [0.0, 0.0, length]], "angstrom", 0, spin)
    return build_system(molecule, basis, grid_level=1)


@pytest.mark.parametrize("solver", ["newton", "direct"])
@pytest.mark.parametrize(("molecule", "name"), [("water", "b3lyp"), ("oh", "pbe")])
def test_the_same_minimum_as_diis(molecule, name, solver):
    expected = jqc.scf(system(molecule), name, solver="diis", settings=TIGHT).check()
    found = jqc.scf(system(molecule), name, solver=solver, settings=TIGHT).check()
    assert found.energy == pytest.approx(expected.energy, abs=SAME_MINIMUM)
    np.testing.assert_allclose(found.mo_energy, expected.mo_energy, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.occupations, expected.occupations)


def test_newton_converges_quadratically():
    residuals = []
    jqc.scf(system("water"), "pbe", solver="newton", settings=TIGHT, progress=lambda *word: residuals.append(word[3]))
    assert len(residuals) < 10
    assert residuals[-1] < 1e-6


def test_a_watcher_changes_nothing():
    words = []
    watched = jqc.scf(system("water"), "pbe", solver="direct", progress=lambda *word: words.append(word))
    alone = jqc.scf(system("water"), "pbe", solver="direct")
    assert [word[0] for word in words] == list(range(1, watched.iterations + 1))
    assert watched.iterations == alone.iterations
    assert watched.energy == pytest.approx(alone.energy, abs=1e-11)


@pytest.mark.parametrize(
    ("first", "second", "length", "spin"),
    [("Cr", "O", 1.62, 4), pytest.param("Fe", "O", 1.62, 4, marks=pytest.mark.slow)],
)
def test_newton_takes_over_where_diis_runs_in_circles(first, second, length, spin):
    """What DIIS does there hangs on the last digit; that Newton ends it, and not above, does not."""
    held = diatomic(first, second, length, spin)
    alone = jqc.scf(held, "hf", solver="diis", max_iterations=100)
    together = jqc.scf(held, "hf", max_iterations=100).check()
    assert together.energy < alone.energy + 1e-6


@pytest.mark.slow
def test_an_atom_s_open_d_shell():
    """Iron's degenerate d orbitals: DIIS ends wherever the last digit sends it, and following ends at a minimum."""
    iron = build_system(Molecule.from_arrays(["Fe"], [[0.0, 0.0, 0.0]], spin=4), grid_level=1)
    result = jqc.scf(iron, "pbe", max_iterations=150).check()
    start = result.energy
    for _ in range(4):
        found = stability(result)
        if found.stable:
            break
        result = follow(result, found).check()
    assert stability(result).stable
    assert result.energy <= start + 1e-8


def test_newton_goes_below_the_saddle_where_diis_ends():
    """Iron hydride, quartet, Hartree–Fock: the same guess, 0.07 hartree apart."""
    held = diatomic("Fe", "H", 1.57, 3)
    saddle = jqc.scf(held, "hf", solver="diis").check()
    minimum = jqc.scf(held, "hf", solver="newton").check()
    assert not stability(saddle).stable
    assert stability(minimum).stable
    assert minimum.energy < saddle.energy - 0.05


@pytest.mark.parametrize("xc", ["hf", pytest.param("lda", marks=pytest.mark.slow)])
def test_stretched_nitrogen(xc):
    """N₂ at 2 Å: a minimum among closed shells, and far from one among open ones with exact exchange."""
    held = diatomic("N", "N", 2.0)
    closed = jqc.scf(held, xc, solver="newton", settings=TIGHT).check()
    assert closed.energy == pytest.approx(jqc.scf(held, xc, settings=TIGHT).check().energy, abs=SAME_MINIMUM)
    found = stability(closed, spin_resolved=True)
    assert not found.stable
    opened = follow(closed, found).check()
    assert opened.energy < closed.energy - 0.05
    assert opened.spin_square > 1.0


def test_hydrogen_breaks_its_symmetry():
    """H₂ at 3 Å: the closed shell is a saddle among unrestricted densities; below it lie two atoms."""
    molecule = Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]], "angstrom")
    held = build_system(molecule, grid_level=1)
    symmetric = jqc.scf(held, "lda", restricted=False).check()
    assert symmetric.spin_square == pytest.approx(0.0, abs=1e-6)
    assert stability(jqc.scf(held, "lda")).stable
    assert not stability(jqc.scf(held, "lda"), spin_resolved=True).stable
    unstable = stability(symmetric)
    assert not unstable.stable
    broken = follow(symmetric, unstable).check()
    atom = jqc.scf(build_system(Molecule.from_arrays(["H"], [[0.0, 0.0, 0.0]], spin=1), grid_level=1), "lda")
    assert stability(broken).stable
    assert broken.spin_square == pytest.approx(1.0, abs=0.1)
    assert broken.energy < symmetric.energy - 0.02
    assert broken.energy == pytest.approx(2 * atom.energy, abs=5e-3)


def test_stability_of_an_unconverged_density_is_refused():
    with pytest.raises(ConvergenceError):
        stability(jqc.scf(system("water"), "pbe", max_iterations=1))


def test_unknown_solver_and_smearing():
    with pytest.raises(InputError, match=r"unknown solver 'nwton'; choose auto, diis, newton, direct"):
        jqc.scf(system("water"), "pbe", solver="nwton")
    with pytest.raises(InputError, match="whole occupations"):
        jqc.scf(system("water"), "pbe", solver="newton", settings=SCFSettings(temperature=0.01))
