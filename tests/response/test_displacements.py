"""Nuclear Hessian, dipole and polarizability derivatives against PySCF and against differences of whole SCFs."""

import numpy as np
import pytest
from pyscf import dft, gto

import jqc
from jqc.errors import ConvergenceError, InputError
from jqc.response import displacements, polarizability, polarizability_slopes
from jqc.response.forces import gradient
from jqc.scf import SCFSettings

REFERENCE = 2e-6
"""Hartree/bohr²; 1 cm⁻¹ in a frequency is about 1e-4 of its force constant."""

CASES = [
    ("water", "b3lyp", "df"),
    ("oh", "pbe", "df"),
    ("water", "b3lyp", "exact"),
    pytest.param("water", "r2scan", "df", marks=pytest.mark.slow),
    pytest.param("water", "cam-b3lyp", "df", marks=pytest.mark.slow),
    pytest.param("oh", "b3lyp", "exact", marks=pytest.mark.slow),
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
    """The quadrature stands still in both; IR intensities are squares of the dipole's slopes, 1 % of which is 0.5 %."""
    result = solved("water", "b3lyp", coulomb)
    found = displacements(result)
    raman = polarizability_slopes(result, found)
    for move in (1, 5):
        ends = [moved(result, move, step) for step in (2e-3, -2e-3)]
        difference = lambda values: (values[0] - values[1]) / 4e-3  # noqa: E731
        forces = difference([gradient(end).ravel() for end in ends])
        np.testing.assert_allclose(found.hessian[move], forces, rtol=0, atol=2e-5)
        np.testing.assert_allclose(
            found.dipole_slopes[:, move], difference([end.dipole for end in ends]), rtol=0, atol=2e-5
        )
        alphas = difference([polarizability(end) for end in ends])
        np.testing.assert_allclose(raman[..., move], alphas, rtol=0, atol=1e-4)


def test_what_is_refused(solved):
    system = solved("water", "b3lyp").system
    with pytest.raises(ConvergenceError):
        displacements(jqc.scf(system, "b3lyp", max_iterations=1))
    warm = jqc.scf(system, "b3lyp", settings=SCFSettings(temperature=0.05)).check()
    with pytest.raises(InputError, match="fractional occupations"):
        displacements(warm)
