"""Factors of the two-electron integrals, fitted and exact, full-range and attenuated, against libcint's."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pyscf import df

from jqc.errors import MemoryLimitError
from jqc.numerics import unpack
from jqc.system import Molecule, build_system, with_range
from jqc.system import integrals as integrals_module
from jqc.system.basis import make_mole

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

OMEGAS = {0.0: "1/r", 0.33: "erf(0.33 r)/r, as in CAM-B3LYP", -0.11: "erfc(0.11 r)/r, as in HSE06"}

INTEGRAL_ERROR = 1e-10
"""Hartree. The Cholesky factor leaves 1e-11; fitting metrics of condition 1e8 cost 1e-11 in whitening."""

SOLVE_ERROR = 1e-7
"""Hartree; the fitting metric of erf(0.33 r)/r is singular to rounding, and codes drop its null space differently."""


@cache
def water():
    return Molecule.from_xyz(MOLECULES / "water.xyz")


@cache
def mole():
    return make_mole(water(), "def2-svp")


@cache
def system(coulomb: str):
    return with_range(build_system(water(), coulomb=coulomb, grid_level=0), tuple(OMEGAS))


def four_centre(coulomb: str, omega: float) -> np.ndarray:
    """(μν|λσ) as the factor says, without padding."""
    n = mole().nao
    factor = np.asarray(unpack(system(coulomb).repulsion[omega], system(coulomb).n_padded))[:, :n, :n]
    return np.einsum("Lmn,Lls->mnls", factor, factor, optimize=True)


@pytest.mark.parametrize("omega", OMEGAS)
def test_exact_factor_reproduces_the_integrals(omega):
    with mole().with_range_coulomb(omega):
        expected = mole().intor("int2e")
    np.testing.assert_allclose(four_centre("exact", omega), expected, rtol=0, atol=INTEGRAL_ERROR)


@pytest.mark.parametrize("omega", OMEGAS)
def test_fitted_factor_reproduces_pyscf(omega):
    from pyscf import ao2mo

    fitting = df.DF(mole(), auxbasis="def2-universal-jkfit")
    with fitting.range_coulomb(omega) as attenuated:
        expected = ao2mo.restore(1, attenuated.get_eri(), mole().nao)
    np.testing.assert_allclose(four_centre("df", omega), expected, rtol=0, atol=INTEGRAL_ERROR)


@pytest.mark.parametrize("omega", OMEGAS)
def test_fitted_factor_is_the_coulomb_metric_fit(omega):
    aux = df.addons.make_auxmol(mole(), "def2-universal-jkfit")
    with mole().with_range_coulomb(omega), aux.with_range_coulomb(omega):
        metric = aux.intor("int2c2e")
        three = df.incore.aux_e2(mole(), aux, "int3c2e").reshape(-1, aux.nao)
    expected = (three @ np.linalg.solve(metric, three.T)).reshape((mole().nao,) * 4)
    np.testing.assert_allclose(four_centre("df", omega), expected, rtol=0, atol=SOLVE_ERROR)


def test_ranges_add_up():
    """erf + erfc = 1."""
    both = with_range(system("exact"), (0.11,))
    n = mole().nao
    factors = [np.asarray(unpack(both.repulsion[w], both.n_padded))[:, :n, :n] for w in (0.11, -0.11, 0.0)]
    long, short, full = (np.einsum("Lmn,Lls->mnls", f, f, optimize=True) for f in factors)
    np.testing.assert_allclose(long + short, full, rtol=0, atol=3 * INTEGRAL_ERROR)


def test_range_that_is_there_is_kept():
    assert with_range(system("df"), (0.33,)) is system("df")


@pytest.mark.parametrize("omega", OMEGAS)
def test_padding_of_the_factor_is_zero(omega):
    for coulomb in ("df", "exact"):
        held = system(coulomb)
        factor = np.asarray(unpack(held.repulsion[omega], held.n_padded))
        assert not factor[:, mole().nao :].any()
        assert not factor[:, :, mole().nao :].any()


def test_too_large_an_exact_job_is_refused(monkeypatch):
    monkeypatch.setattr(integrals_module, "EXACT_LIMIT", 1 << 10)
    with pytest.raises(MemoryLimitError, match=r"24 orbitals need .* GiB.*use coulomb='df'"):
        build_system(water(), coulomb="exact", grid_level=0)


def test_fitting_is_not_bound_by_the_exact_limit(monkeypatch):
    monkeypatch.setattr(integrals_module, "EXACT_LIMIT", 1 << 10)
    assert build_system(water(), coulomb="df", grid_level=0).coulomb == "df"
