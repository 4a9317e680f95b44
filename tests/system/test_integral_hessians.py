"""Second derivatives of integrals, and slopes of matrices, against differences of first derivatives and of matrices."""

import numpy as np
import pytest
from pyscf import gto
from pyscf.lib import unpack_tril

from jqc.response.forces import nuclear_gradient
from jqc.system.exact_hessians import exact_slopes
from jqc.system.fitted_hessians import fitted_slopes
from jqc.system.integral_gradients import Exchange, exact_gradient, fitted_gradient, one_electron_gradient
from jqc.system.integral_hessians import (
    core_slopes,
    dipole_slopes,
    nuclear_hessian,
    one_electron_hessian,
    overlap_slopes,
)
from jqc.system.integrals import fitted_tensor

COORDS = np.array([[0.1, 0.05, 0.02], [1.4, 1.1, -0.1], [-1.4, 1.2, 0.3]])
AUXILIARY = "def2-universal-jkfit"
CHARGES = np.array([8.0, 1.0, 1.0])
EXACT, ATTENUATED = 1e-8, 1e-6
"""Error of a four-point difference of numbers up to 50; attenuated metrics are nearly singular."""


def molecule(coords: np.ndarray, ecp: bool = False) -> gto.Mole:
    """Water, with a core potential on oxygen where asked."""
    atoms = list(zip("OHH", coords, strict=True))
    return gto.M(atom=atoms, unit="Bohr", basis="def2-svp", ecp={"O": "bfd"} if ecp else {}, verbose=0)


def difference(function, step: float = 1e-3) -> np.ndarray:
    """Derivatives of a function of the positions along the nine moves, move first."""
    rows = []
    for unit in np.eye(9).reshape(9, 3, 3):
        once, twice = (function(COORDS + k * step * unit) - function(COORDS - k * step * unit) for k in (1, 2))
        rows.append((8 * once - twice) / (12 * step))
    return np.array(rows)


@pytest.fixture(scope="module")
def densities() -> tuple[list[Exchange], np.ndarray, np.ndarray]:
    """Two exchange terms, their density, and a symmetric matrix."""
    random = np.random.default_rng(0)
    n = molecule(COORDS).nao
    terms = [Exchange(0.4 * random.normal(size=(n, occ)), share) for occ, share in ((4, 0.3), (3, 0.4))]
    weighted = random.normal(size=(n, n))
    return terms, sum(t.occupied @ t.occupied.T for t in terms), weighted + weighted.T


@pytest.mark.parametrize("ecp", [False, True])
def test_one_electron(densities, ecp):
    _, dm, weighted = densities
    mole = molecule(COORDS, ecp)
    found = one_electron_hessian(mole, dm, weighted)
    expected = difference(lambda coords: one_electron_gradient(molecule(coords, ecp), dm, weighted).ravel())
    np.testing.assert_allclose(found, expected, atol=EXACT)

    def core(coords):
        here = molecule(coords, ecp)
        return here.intor("int1e_kin") + here.intor("int1e_nuc") + (here.intor("ECPscalar") if ecp else 0)

    np.testing.assert_allclose(core_slopes(mole), difference(core), atol=EXACT)


def test_overlap_and_dipole(densities):
    _, dm, _ = densities
    mole = molecule(COORDS)
    np.testing.assert_allclose(
        overlap_slopes(mole), difference(lambda coords: molecule(coords).intor("int1e_ovlp")), atol=EXACT
    )
    moments = difference(lambda coords: np.einsum("xmn,mn->x", molecule(coords).intor("int1e_r"), dm))
    np.testing.assert_allclose(dipole_slopes(mole, dm), moments.T, atol=EXACT)


def test_nuclear_repulsion():
    expected = difference(lambda coords: nuclear_gradient(CHARGES, coords).ravel())
    np.testing.assert_allclose(nuclear_hessian(CHARGES, COORDS), expected, atol=EXACT)


@pytest.mark.parametrize("omega", [0.0, 0.4])
def test_fitted(densities, omega):
    terms, dm, _ = densities
    coulomb, bound = (dm, EXACT) if omega == 0 else (None, ATTENUATED)

    def slope(coords):
        mole = molecule(coords)
        return fitted_gradient(mole, AUXILIARY, omega, fitted_tensor(mole, AUXILIARY, omega), coulomb, terms).ravel()

    def tensor(coords):
        return unpack_tril(fitted_tensor(molecule(coords), AUXILIARY, omega))

    def image(coords, a):
        half = tensor(coords) @ a
        return np.einsum("pmi,pni,nj->mj", half, half, a, optimize=True)

    mole = molecule(COORDS)
    found = fitted_slopes(mole, AUXILIARY, omega, fitted_tensor(mole, AUXILIARY, omega), coulomb, terms)
    np.testing.assert_allclose(found.hessian, difference(slope), atol=bound)
    if omega == 0:
        expected = difference(lambda x: np.einsum("pmn,pab,ab->mn", tensor(x), tensor(x), dm, optimize=True))
        np.testing.assert_allclose(found.coulomb, expected, atol=EXACT)
    for term, values in zip(terms, found.exchange, strict=True):
        np.testing.assert_allclose(values, difference(lambda x, a=term.occupied: image(x, a)), atol=bound)


@pytest.mark.parametrize("omega", [0.0, 0.4])
def test_exact(densities, omega):
    terms, dm, _ = densities
    pairs = [(t.occupied @ t.occupied.T, t.share) for t in terms]

    def integrals(coords):
        mole = molecule(coords)
        with mole.with_range_coulomb(omega):
            return mole.intor("int2e")

    def image(coords, a):
        half = np.einsum("mnab,bi->mnai", integrals(coords), a)
        return np.einsum("mani,ai,nj->mj", half, a, a, optimize=True)

    found = exact_slopes(molecule(COORDS), omega, dm, terms)
    slopes = difference(lambda x: exact_gradient(molecule(x), omega, dm, pairs).ravel())
    np.testing.assert_allclose(found.hessian, slopes, atol=EXACT)
    np.testing.assert_allclose(
        found.coulomb, difference(lambda x: np.einsum("mnab,ab->mn", integrals(x), dm)), atol=EXACT
    )
    for term, values in zip(terms, found.exchange, strict=True):
        np.testing.assert_allclose(values, difference(lambda x, a=term.occupied: image(x, a)), atol=EXACT)
