"""Properties of a solution against PySCF, and what symmetry says about its energy."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pyscf import dft, gto

import jqc
from jqc.scf import SCFSettings

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)

PROPERTY_ERROR = 1e-5
"""Atomic units; first order in what is left of the orbital gradient, here and in PySCF (1e-5)."""

GRID_ERROR = 1e-5
"""Hartree; the angular grids of level 3 are fixed in space, and turning a molecule costs up to this much."""

SAME_POINTS = 1e-9
"""Hartree; the same points about the molecule, up to rounding, screening and convergence."""

ELECTRONS = 1e-5
"""Level 3 counts electrons this well."""


def molecule(name: str):
    return jqc.Molecule.from_xyz(MOLECULES / f"{name}.xyz")


def solve(system, xc: str = "pbe"):
    return jqc.scf(system, xc, settings=TIGHT).check()


@cache
def solution(name: str, xc: str = "pbe"):
    return solve(jqc.build_system(molecule(name)), xc)


@cache
def reference(name: str, xc: str):
    """PySCF from our density: oriented states stay where they are."""
    result = solution(name, xc)
    described = molecule(name)
    atoms = list(zip(described.symbols, np.asarray(described.coords).tolist(), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", spin=described.spin, verbose=0)
    method = dft.KS(mole, xc=xc).density_fit(auxbasis=result.aux_basis)
    method.grids.level = 3
    method.conv_tol, method.conv_tol_grad = 1e-11, 1e-6
    method.kernel(np.asarray(result.dm))
    return method


# --- against PySCF ---

CASES = [("water", "pbe"), ("oh", "b3lyp"), ("o2", "pbe")]


@pytest.mark.parametrize(("name", "xc"), CASES)
def test_dipole(name, xc):
    expected = reference(name, xc).dip_moment(unit="AU", verbose=0)
    np.testing.assert_allclose(solution(name, xc).dipole, expected, rtol=0, atol=PROPERTY_ERROR)


@pytest.mark.parametrize(("name", "xc"), CASES)
def test_mulliken_charges(name, xc):
    expected = reference(name, xc).mulliken_pop(verbose=0)[1]
    charges = solution(name, xc).charges
    np.testing.assert_allclose(charges, expected, rtol=0, atol=PROPERTY_ERROR)
    assert charges.sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("name", "xc"), CASES)
def test_gap(name, xc):
    method = reference(name, xc)
    energies, filled = np.ravel(method.mo_energy), np.ravel(method.mo_occ) > 0
    expected = energies[~filled].min() - energies[filled].max()
    assert solution(name, xc).gap == pytest.approx(expected, abs=PROPERTY_ERROR)


@pytest.mark.parametrize(("name", "xc"), CASES)
def test_spin_square(name, xc):
    method = reference(name, xc)
    expected = method.spin_square()[0] if solution(name, xc).dm.ndim == 3 else 0.0
    assert solution(name, xc).spin_square == pytest.approx(expected, abs=PROPERTY_ERROR)


@pytest.mark.parametrize(("name", "xc"), CASES)
def test_orbital_energies(name, xc):
    np.testing.assert_allclose(solution(name, xc).mo_energy, reference(name, xc).mo_energy, rtol=0, atol=PROPERTY_ERROR)


def test_orbitals_are_orthonormal_and_make_the_density():
    result = solution("oh", "b3lyp")
    n = result.dm.shape[-1]
    overlap = np.asarray(result.system.overlap)[:n, :n]
    for coefficients, filled, dm in zip(result.mo_coeff, result.occupations, result.dm, strict=True):
        np.testing.assert_allclose(coefficients.T @ overlap @ coefficients, np.eye(n), atol=1e-10)
        np.testing.assert_allclose((coefficients * filled) @ coefficients.T, dm, atol=1e-10)


def test_parts_of_the_energy():
    result = solution("water")
    assert sum(vars(result.parts)[name] for name in PARTS) == pytest.approx(result.energy, abs=1e-10)
    assert -result.energy / result.parts.kinetic == pytest.approx(1.0, abs=0.02)  # the virial theorem


PARTS = ("kinetic", "nuclear_attraction", "coulomb", "exact_exchange", "exchange_correlation", "nuclear_repulsion")


# --- the quadrature ---


@pytest.mark.parametrize("name", ["water", "oh", "o2"])
def test_quadrature_counts_the_electrons(name):
    result = solution(name, dict(CASES)[name])
    assert result.n_electrons_quadrature == pytest.approx(molecule(name).n_electrons, abs=ELECTRONS)


# --- symmetry ---


def rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def moved(turn: np.ndarray, shift=(0.0, 0.0, 0.0)):
    water = molecule("water")
    return replace(water, coords=np.asarray(water.coords) @ turn.T + np.asarray(shift))


def with_carried_grid(turn: np.ndarray, shift: np.ndarray):
    """The moved molecule with the points of the unmoved one moved along."""
    carried = tuple(replace(group, coords=group.coords @ turn.T + shift) for group in solution("water").system.groups)
    return replace(jqc.build_system(moved(turn, shift)), groups=carried)


SHIFT = np.array([0.7, -3.1, 12.0])


@pytest.mark.parametrize("seed", range(2))
def test_rotation_and_translation_within_the_grid(seed):
    result = solve(jqc.build_system(moved(rotation(seed), SHIFT)))
    assert result.energy == pytest.approx(solution("water").energy, abs=GRID_ERROR)


@pytest.mark.parametrize(("sign", "xc"), [(1.0, "pbe"), (-1.0, "r2scan")])
def test_rotation_and_reflection_with_the_grid_carried_along(sign, xc):
    result = solve(with_carried_grid(sign * rotation(0), SHIFT), xc)
    assert result.energy == pytest.approx(solution("water", xc).energy, abs=SAME_POINTS)


QUARTER_TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
CUBIC = {
    "quarter turn": QUARTER_TURN,
    "turn about the diagonal": np.roll(np.eye(3), 1, axis=0),
    "reflection": np.diag([1.0, 1.0, -1.0]),
}


@pytest.mark.parametrize("turn", CUBIC)
def test_symmetries_of_the_angular_grid_are_exact(turn):
    """Lebedev's points have the symmetry of a cube."""
    result = solve(jqc.build_system(moved(CUBIC[turn])))
    assert result.energy == pytest.approx(solution("water").energy, abs=SAME_POINTS)


def test_translation_is_exact():
    """The grid moves with the atoms."""
    result = solve(jqc.build_system(moved(np.eye(3), SHIFT)))
    assert result.energy == pytest.approx(solution("water").energy, abs=SAME_POINTS)


def test_dipole_turns_with_the_molecule():
    result = solve(jqc.build_system(moved(QUARTER_TURN)))
    np.testing.assert_allclose(result.dipole, QUARTER_TURN @ solution("water").dipole, atol=1e-7)


def test_order_of_the_atoms():
    water, order = molecule("water"), [2, 0, 1]
    shuffled = replace(water, numbers=water.numbers[order], coords=water.coords[order])
    result = solve(jqc.build_system(shuffled))
    assert result.energy == pytest.approx(solution("water").energy, abs=SAME_POINTS)
    np.testing.assert_allclose(result.charges, solution("water").charges[order], atol=1e-7)
