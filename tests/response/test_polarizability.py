"""Polarizabilities against PySCF's response, sum rules and differences of dipoles and polarizabilities."""

import numpy as np
import pytest
from pyscf import dft, gto, tdscf

from jqc.errors import ConvergenceError, InputError
from jqc.response import excitations, hyperpolarizability, polarizability

REFERENCE = 1e-4
"""Atomic units."""


def by_pyscf(result, xc: str, frequency: float) -> np.ndarray:
    """From PySCF's whole response matrix, at its own fitted density."""
    molecule = result.system.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", verbose=0)
    solver = dft.RKS(mole, xc=xc).density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol = 1, 1e-12
    solver.kernel(np.asarray(result.dm))
    occupied, virtual = solver.mo_coeff[:, solver.mo_occ > 0], solver.mo_coeff[:, solver.mo_occ == 0]
    moments = np.einsum("xmn,mi,na->xia", mole.intor("int1e_r"), occupied, virtual).reshape(3, -1)
    product, _ = tdscf.TDDFT(solver).gen_vind(solver)
    size = 2 * moments.shape[1]
    answers = np.linalg.solve(
        product(np.eye(size)).T - frequency * np.eye(size), np.concatenate([moments, -moments], 1).T
    )
    return 2 * np.concatenate([moments, moments], 1) @ answers


@pytest.mark.parametrize("frequency", [0.0, 0.1])
def test_equals_pyscf(solved, frequency):
    result = solved("water", "b3lyp")
    expected = by_pyscf(result, "b3lyp", frequency)
    np.testing.assert_allclose(polarizability(result, frequency), expected, rtol=0, atol=REFERENCE)


def test_open_shell_equals_differences_of_dipoles(solved, in_field):
    result = solved("oh", "pbe")
    found = polarizability(result)
    along = int(np.argmax(np.abs(result.dipole)))  # the bond; across it the degenerate hole would turn
    step = 1e-3 * np.eye(3)[along]
    slope = (in_field(result, step).dipole - in_field(result, -step).dipole) / 2e-3
    np.testing.assert_allclose(found[along], slope, rtol=0, atol=REFERENCE)


def test_poles_are_excitation_energies(solved):
    """α(ω) grows without bound towards the first allowed state and is refused on it."""
    result = solved("water", "b3lyp")
    first = excitations(result, 1)
    near = [np.trace(polarizability(result, float(first.energies[0]) - gap)) for gap in (4e-3, 2e-3)]
    residue = 2 * first.energies[0] * np.sum(first.transition_dipoles[0] ** 2)
    growth = residue / (2 * first.energies[0]) * (1 / 2e-3 - 1 / 4e-3)
    assert near[1] - near[0] == pytest.approx(growth, rel=0.02)
    with pytest.raises(ConvergenceError):
        polarizability(result, float(first.energies[0]) + 1e-12)


def test_hyperpolarizability_is_the_slope_of_the_polarizability(solved, in_field):
    result = solved("water", "b3lyp")
    found = hyperpolarizability(result)
    for axes in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        np.testing.assert_allclose(found, found.transpose(axes), rtol=0, atol=1e-5)
    axis = int(np.argmax(np.abs(np.einsum("iij->j", found))))

    def slope(step):
        ends = [polarizability(in_field(result, sign * step * np.eye(3)[axis])) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * step)

    expected = (4 * slope(1e-3) - slope(2e-3)) / 3
    assert np.abs(expected).max() > 5
    np.testing.assert_allclose(found[axis], expected, rtol=0, atol=1e-3)


def test_what_is_refused(solved):
    with pytest.raises(InputError, match="frequency is -1"):
        polarizability(solved("water", "b3lyp"), -1.0)
