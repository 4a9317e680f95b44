"""Nuclear Hessian, dipole and polarizability derivatives against PySCF and against differences of whole SCFs."""

import numpy as np
import pytest
from pyscf import dft, gto

import jqc
from jqc.errors import ConvergenceError, InputError
from jqc.response import displacements, polarizability, polarizability_slopes
from jqc.response.forces import gradient
from jqc.scf import SCFSettings

REFERENCE = 1e-5
"""Hartree/bohr², 0.02 cm⁻¹; with attenuated integrals PySCF's own is 5e-6 from differences of its gradients."""

CASES = [
    pytest.param("water", "b3lyp", "df", marks=pytest.mark.slow),
    ("oh", "pbe", "df"),
    pytest.param("water", "b3lyp", "exact", marks=pytest.mark.slow),
    pytest.param("water", "r2scan", "df", marks=pytest.mark.slow),
    pytest.param("water", "cam-b3lyp", "df", marks=pytest.mark.slow),
]


def by_pyscf(result, xc: str, coulomb: str) -> np.ndarray:
    molecule = result.system.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", spin=molecule.spin, verbose=0)
    solver = (dft.UKS if molecule.spin else dft.RKS)(mole, xc=xc.replace("-", ""))
    solver = solver.density_fit(auxbasis="def2-universal-jkfit") if coulomb == "df" else solver
    solver.grids.level, solver.conv_tol, solver.conv_tol_grad = 1, 1e-12, 1e-8
    solver.kernel(np.asarray(result.dm))
    solver.conv_tol_cpscf = 1e-11
    hessian = solver.Hessian()
    if coulomb == "df":
        hessian.auxbasis_response = 2
    return hessian.kernel().transpose(0, 2, 1, 3).reshape(3 * mole.natm, -1)


@pytest.mark.parametrize(("name", "xc", "coulomb"), CASES)
def test_hessian_equals_pyscf(solved, name, xc, coulomb):
    result = solved(name, xc, coulomb)
    found = displacements(result).hessian
    np.testing.assert_allclose(found, by_pyscf(result, xc, coulomb), rtol=0, atol=REFERENCE)


@pytest.mark.parametrize("coulomb", ["df", pytest.param("exact", marks=pytest.mark.slow)])
def test_derivatives_equal_differences_of_whole_scfs(solved, moved, coulomb):
    """Along a direction that moves every nucleus; the quadrature stands still in both."""
    result = solved("water", "b3lyp", coulomb)
    found = displacements(result)
    raman = polarizability_slopes(result, found)
    direction = np.random.default_rng(0).normal(size=9)
    direction /= np.linalg.norm(direction)
    ends = [moved(result, step * direction.reshape(3, 3)) for step in (1e-3, -1e-3, 5e-4, -5e-4)]

    def slope(values):  # fixed points near a moving cusp make the error large, and of second order
        return (4 * (values[2] - values[3]) / 1e-3 - (values[0] - values[1]) / 2e-3) / 3

    forces = slope([gradient(end).ravel() for end in ends])
    np.testing.assert_allclose(found.hessian @ direction, forces, rtol=0, atol=2e-5)
    dipoles = slope([end.dipole for end in ends])
    np.testing.assert_allclose(found.dipole_slopes @ direction, dipoles, rtol=0, atol=2e-5)
    alphas = slope([polarizability(end) for end in ends])
    np.testing.assert_allclose(raman @ direction, alphas, rtol=0, atol=1e-4)


def test_what_is_refused(solved):
    system = solved("water", "b3lyp").system
    with pytest.raises(ConvergenceError):
        displacements(jqc.scf(system, "b3lyp", max_iterations=1))
    warm = jqc.scf(system, "b3lyp", settings=SCFSettings(temperature=0.05)).check()
    with pytest.raises(InputError, match="fractional occupations"):
        displacements(warm)
