"""Forces against PySCF's, against finite differences of the energy, and what symmetry asks of them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pyscf import dft, gto

import jqc
from jqc.errors import ConvergenceError, InputError
from jqc.response import forces
from jqc.response.moving_grid import own_weights
from jqc.scf import SCFSettings
from jqc.system import Molecule, build_system
from jqc.system.basis import make_mole
from jqc.system.grid import molecular_grid

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

REFERENCE = 1e-6
"""Hartree/bohr, to PySCF with the same (fixed) quadrature points."""

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)


@cache
def solution(name: str, xc: str, coulomb: str = "df", level: int = 1):
    molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    return jqc.scf(build_system(molecule, coulomb=coulomb, grid_level=level), xc, settings=TIGHT).check()


def pyscf_forces(result, xc: str, coulomb: str, level: int = 1, grid_response: bool = False) -> np.ndarray:
    """At jqc's own density, so that only the derivatives are compared."""
    molecule = result.system.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", spin=molecule.spin, charge=molecule.charge, verbose=0)
    solver = (dft.UKS if molecule.spin else dft.RKS)(mole, xc=xc)
    solver = solver.density_fit(auxbasis="def2-universal-jkfit") if coulomb == "df" else solver
    solver.grids.level = level
    solver.conv_tol, solver.conv_tol_grad = 1e-11, 1e-7
    solver.kernel(np.asarray(result.dm))
    gradient = solver.nuc_grad_method()
    gradient.grid_response = grid_response
    return -gradient.kernel()


CASES = [
    ("water", "svwn", "df"),
    ("water", "pbe", "df"),
    ("water", "r2scan", "df"),
    ("water", "b3lyp", "df"),
    ("water", "cam-b3lyp", "df"),
    ("water", "pbe", "exact"),
    ("water", "b3lyp", "exact"),
    ("oh", "pbe", "df"),
    ("oh", "b3lyp", "df"),
    pytest.param("oh", "cam-b3lyp", "exact", marks=pytest.mark.slow),
    ("oh", "r2scan", "df"),
]


@pytest.mark.parametrize(("name", "xc", "coulomb"), CASES)
def test_forces_equal_pyscf(name, xc, coulomb):
    result = solution(name, xc, coulomb)
    alias = {"svwn": "svwn", "cam-b3lyp": "camb3lyp"}.get(xc, xc)
    expected = pyscf_forces(result, alias, coulomb)
    np.testing.assert_allclose(forces(result), expected, rtol=0, atol=REFERENCE)


def test_core_potentials():
    molecule = Molecule.from_arrays(["H", "I"], [[0.0, 0.0, 0.0], [0.0, 0.3, 3.1]])
    result = jqc.scf(build_system(molecule, grid_level=1), "pbe", settings=TIGHT).check()
    mole = gto.M(
        atom=[("H", (0, 0, 0)), ("I", (0, 0.3, 3.1))], unit="Bohr", basis="def2-svp", ecp={"I": "def2-svp"}, verbose=0
    )
    solver = dft.RKS(mole, xc="pbe").density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol, solver.conv_tol_grad = 1, 1e-11, 1e-7
    solver.kernel(np.asarray(result.dm))
    np.testing.assert_allclose(forces(result), -solver.nuc_grad_method().kernel(), rtol=0, atol=REFERENCE)


@pytest.mark.parametrize("temperature", [None, 0.02])
def test_forces_are_the_energy_s_slope(temperature):
    """Hartree–Fock has no quadrature, so that the force is the exact derivative; the free energy's with smearing."""
    settings = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7, temperature=temperature)

    def solved(stretch: float):
        coords = [[0.0, 0.0, 0.0], [0.0, 0.2, 2.2 + stretch]]
        return jqc.scf(build_system(Molecule.from_arrays(["N", "N"], coords), grid_level=0), "hf", settings=settings)

    expected = -(solved(1e-3).energy - solved(-1e-3).energy) / 2e-3
    assert forces(solved(0.0))[1, 2] == pytest.approx(expected, abs=2e-6)


def test_forces_add_up_and_turn_with_the_molecule():
    """Within the grid's own error, which shrinks with its level."""
    water = solution("water", "pbe", level=3)
    assert np.abs(forces(water).sum(axis=0)).max() < 2e-4
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    molecule = water.system.molecule
    turned = Molecule(molecule.numbers, np.asarray(molecule.coords) @ turn.T)
    again = jqc.scf(build_system(turned), "pbe", settings=TIGHT).check()
    np.testing.assert_allclose(forces(again), forces(water) @ turn.T, rtol=0, atol=2e-4)


MOVING = [("water", "pbe"), ("water", "r2scan"), ("oh", "b3lyp")]


@pytest.mark.parametrize(("name", "xc"), MOVING)
def test_with_a_moving_grid_forces_are_the_slope_of_the_energy(name, xc):
    """A coarse grid, whose energy is wrong by millihartrees, and a direction in which atoms move against each other."""
    molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    along = np.random.default_rng(1).normal(size=molecule.coords.shape)
    start = jqc.scf(build_system(molecule, grid_level=0), xc, settings=TIGHT).check()

    def energy(step: float) -> float:
        moved = Molecule(molecule.numbers, molecule.coords + step * along, molecule.charge, molecule.spin)
        return jqc.scf(build_system(moved, grid_level=0), xc, start, settings=TIGHT).check().energy

    h = 2e-3
    expected = -(8 * (energy(h) - energy(-h)) - energy(2 * h) + energy(-2 * h)) / (12 * h)
    found = forces(start, moving_grid=True)
    assert np.sum(found * along) == pytest.approx(expected, abs=2e-6)
    np.testing.assert_allclose(found.sum(axis=0), 0.0, atol=1e-8)


def test_a_moving_grid_is_that_of_pyscf():
    result = solution("water", "pbe")
    expected = pyscf_forces(result, "pbe", "df", grid_response=True)
    np.testing.assert_allclose(forces(result, moving_grid=True), expected, rtol=0, atol=REFERENCE)


def test_points_whose_share_is_rounding_count_for_nothing():
    """A point 8e-6 bohr from another nucleus has a weight of 1e-17 in PySCF, and may have a share of zero here."""
    assert own_weights(np.array([1e-17, 0.5, 0.0]), np.array([0.0, 0.25, 1.0])).tolist() == [0.0, 2.0, 0.0]


def test_points_that_were_handed_over_do_not_move():
    water = Molecule.from_xyz(MOLECULES / "water.xyz")
    grid = molecular_grid(make_mole(water, "sto-3g"), 0, 7)
    result = jqc.scf(build_system(water, "sto-3g", grid=(grid.coords, grid.weights)), "slater").check()
    with pytest.raises(InputError, match="cannot move"):
        forces(result, moving_grid=True)


def test_an_unconverged_density_has_no_forces():
    result = jqc.scf(solution("water", "pbe").system, "pbe", max_iterations=1)
    with pytest.raises(ConvergenceError):
        forces(result)
