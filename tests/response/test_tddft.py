"""Excitation energies against PySCF's, in every variant, and what they must satisfy by themselves."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pyscf import dft, gto, tdscf

import jqc
from jqc.errors import ConvergenceError, InputError
from jqc.response import excitations
from jqc.scf import SCFSettings
from jqc.scf.grassmann import point
from jqc.system import Molecule, build_system
from jqc.units import ELECTRONVOLT

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

ENERGY = 1e-5
"""Electronvolt."""

TIGHT = SCFSettings(energy_tolerance=1e-11, residual_tolerance=1e-7)


@cache
def solution(name: str, xc: str):
    molecule = Molecule.from_xyz(MOLECULES / f"{name}.xyz")
    return jqc.scf(build_system(molecule, grid_level=1), xc, settings=TIGHT).check()


def by_pyscf(name: str, xc: str, states: int, tda: bool, triplet: bool):
    result = solution(name, xc)
    molecule = result.system.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", spin=molecule.spin, verbose=0)
    solver = (dft.UKS if molecule.spin else dft.RKS)(mole, xc=xc.replace("-", ""))
    solver = solver.density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol, solver.conv_tol_grad = 1, 1e-11, 1e-7
    solver.kernel(np.asarray(result.dm))
    kind = {
        (0, True): tdscf.rks.TDA,
        (0, False): tdscf.rks.TDDFT,
        (1, True): tdscf.uks.TDA,
        (1, False): tdscf.uks.TDDFT,
    }
    response = kind[min(molecule.spin, 1), tda](solver)
    if not molecule.spin:
        response.singlet = not triplet
    response.nstates, response.conv_tol = states + 3, 1e-7
    response.kernel()
    strengths = np.zeros(states) if triplet else response.oscillator_strength()[:states]
    return response.e[:states], strengths


CASES = [
    ("water", "pbe", False, False),
    ("water", "b3lyp", False, False),
    ("water", "b3lyp", False, True),
    ("water", "b3lyp", True, False),
    ("water", "b3lyp", True, True),
    ("water", "cam-b3lyp", False, False),
    ("water", "r2scan", False, True),
    ("oh", "b3lyp", False, False),
    ("oh", "pbe", True, False),
]


@pytest.mark.parametrize(("name", "xc", "tda", "triplet"), CASES)
def test_energies_equal_pyscf(name, xc, tda, triplet):
    found = excitations(solution(name, xc), 5, tda=tda, triplet=triplet)
    energies, strengths = by_pyscf(name, xc, 5, tda, triplet)
    np.testing.assert_allclose(found.energies * ELECTRONVOLT, energies * ELECTRONVOLT, rtol=0, atol=ENERGY)
    np.testing.assert_allclose(found.oscillator_strengths, strengths, rtol=0, atol=1e-4)


def test_amplitudes_are_normalised_and_natural_orbitals_orthonormal():
    result = solution("water", "b3lyp")
    found = excitations(result, 3)
    product = np.einsum("nsai,msai->nm", found.x_plus_y, found.x_minus_y)
    np.testing.assert_allclose(product, np.eye(3), rtol=0, atol=1e-5)
    weights, holes, particles = found.natural_orbitals(0)
    overlap = np.asarray(result.system.overlap)
    assert weights.sum() == pytest.approx(1.0, abs=0.05)
    for orbitals in (holes[0], particles[0]):
        np.testing.assert_allclose(orbitals.T @ overlap @ orbitals, np.eye(orbitals.shape[1]), rtol=0, atol=1e-8)


def test_all_states_are_the_whole_matrix():
    """Tamm–Dancoff of helium, every root, sums to the trace of A."""
    helium = build_system(Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]), "6-31g", grid_level=1)
    result = jqc.scf(helium, "pbe", settings=TIGHT)
    found = excitations(result, 1, tda=True)
    at = point(helium, result.mo_coeff)
    curvature = jqc.scf.grassmann.hessian(result.functional, helium, at)[0, 0] / 4
    gap = result.mo_energy[1] - result.mo_energy[0]
    assert found.energies[0] == pytest.approx(0.5 * (float(curvature) + float(gap)), abs=1e-6)


def test_what_is_refused():
    with pytest.raises(InputError, match="0 states"):
        excitations(solution("water", "pbe"), 0)
    with pytest.raises(InputError, match="needs a restricted result"):
        excitations(solution("oh", "pbe"), 2, triplet=True)
    stopped = jqc.scf(solution("water", "pbe").system, "pbe", max_iterations=1)
    with pytest.raises(ConvergenceError):
        excitations(stopped)
