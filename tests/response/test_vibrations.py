"""Normal modes and thermochemistry against PySCF's analysis of the same Hessian, and what geometry asks of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyscf import dft, gto
from pyscf.hessian import thermo

from jqc.errors import InputError
from jqc.response import thermochemistry, vibrations
from jqc.response.vibrations import normal_modes, raman_activities, rigid_motions

WAVENUMBER_ERROR = 1.0
"""cm⁻¹, to PySCF."""


@pytest.fixture(scope="module")
def water(solved):
    return vibrations(solved("water", "b3lyp"))


@pytest.fixture(scope="module")
def by_pyscf(solved):
    molecule = solved("water", "b3lyp").system.molecule
    atoms = list(zip(molecule.symbols, np.asarray(molecule.coords), strict=True))
    mole = gto.M(atom=atoms, unit="Bohr", basis="def2-svp", verbose=0)
    solver = dft.RKS(mole, xc="b3lyp").density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol = 1, 1e-11
    solver.kernel()
    return solver, thermo.harmonic_analysis(mole, solver.Hessian().kernel())


def test_frequencies_equal_pyscf(water, by_pyscf):
    _, analysis = by_pyscf
    np.testing.assert_allclose(water.frequencies, analysis["freq_wavenumber"], rtol=0, atol=WAVENUMBER_ERROR)
    np.testing.assert_allclose(water.reduced_masses, analysis["reduced_mass"], rtol=1e-4)


def test_symmetry_of_intensities(water):
    assert water.ir_intensities.min() > 0
    assert np.all(water.depolarization_ratios <= 0.75 + 1e-8)
    # The one mode that is not totally symmetric depolarizes fully.
    assert (water.depolarization_ratios > 0.7499).sum() == 1


def test_thermochemistry_equals_pyscf(water, by_pyscf):
    solver, analysis = by_pyscf
    expected = thermo.thermo(solver, analysis["freq_au"], 298.15, 101325)
    found = thermochemistry(water)
    assert found.symmetry_number == 2
    assert found.zero_point_energy == pytest.approx(expected["ZPE"][0], abs=1e-6)
    assert found.enthalpy == pytest.approx(expected["H_tot"][0], abs=2e-6)
    assert found.entropy == pytest.approx(expected["S_tot"][0], rel=1e-5)
    assert found.free_energy == pytest.approx(expected["G_tot"][0], abs=2e-6)
    for change in ({"temperature": 0.0}, {"pressure": -1.0}, {"symmetry_number": 0}):
        with pytest.raises(InputError, match="must be positive"):
            thermochemistry(water, **change)


def test_imaginary_modes_are_counted_and_left_out(water):
    tampered = replace(water, frequencies=np.array([-300.0, 1600.0, 3700.0]))
    assert tampered.n_imaginary == 1
    assert tampered.zero_point_energy < water.zero_point_energy
    assert np.isfinite(thermochemistry(tampered).free_energy)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), linear=st.booleans())
def test_rigid_motions_cost_nothing(seed, linear):
    """A Hessian of springs between atoms has no part along rigid motions, and the projection leaves 3N − 5 or − 6."""
    random = np.random.default_rng(seed)
    coords = random.normal(size=(4, 3)) * 2
    coords = np.outer([0.0, 1.0, 2.5, 4.5], coords[0]) if linear else coords
    masses = random.uniform(1, 20, size=4)
    springs = np.zeros((4, 3, 4, 3))
    for a in range(4):
        for b in range(a):
            unit = (coords[a] - coords[b]) / np.linalg.norm(coords[a] - coords[b])
            for one, other, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
                springs[one, :, other] += sign * np.outer(unit, unit)
    springs = springs.reshape(12, 12)
    rigid = rigid_motions(masses, coords)
    assert len(rigid) == (5 if linear else 6)
    roots = np.repeat(np.sqrt(masses), 3)
    np.testing.assert_allclose(rigid @ (springs / np.outer(roots, roots)), 0.0, atol=1e-10)
    squares, coordinates = normal_modes(springs, masses, coords)
    assert len(squares) == 12 - len(rigid)
    np.testing.assert_allclose((coordinates * roots**2) @ coordinates.T, np.eye(len(squares)), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_raman_activities_do_not_turn(seed):
    random = np.random.default_rng(seed)
    slopes = random.normal(size=(5, 3, 3))
    slopes = slopes + slopes.swapaxes(1, 2)
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turned = turn @ slopes @ turn.T
    for one, other in zip(raman_activities(slopes), raman_activities(turned), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)
