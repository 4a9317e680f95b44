"""The same energies, derivatives and responses whatever form the two-electron integrals have."""

from functools import cache, partial

import jax
import numpy as np
import pytest
from pyscf import dft, scf
from pyscf.sgx import sgx_fit

import jqc
from jqc.errors import FunctionalError, InputError
from jqc.response import excitations, polarizability
from jqc.scf.grassmann import gradient, hvp, point
from jqc.scf.repulsion import exchange_on_pair
from jqc.system import Molecule, build_system, with_range
from jqc.system import build as making
from jqc.system.basis import make_mole
from jqc.system.budget import Plan
from jqc.system.factors import Streamed

SAME = 2e-9
"""Hartree by which energies of several forms may differ: pairs below 1e-10 are left out."""

WATER = [[0.0, 0.0, 0.2], [0.0, 1.4, -0.9], [0.0, -1.4, -0.9]]


@cache
def molecule(spin=0):
    return Molecule.from_arrays(["O", "H", "H", "He"], [*WATER, [0.0, 0.5, 9.0]], charge=spin, spin=spin)


@cache
def system(storage, exchange="df", spin=0):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "plan_for", lambda *_: Plan(storage, 1 << 28))
        return build_system(molecule(spin), grid_level=1, exchange=exchange)


@cache
def solved(storage, xc, spin=0):
    return jqc.scf(system(storage, spin=spin), xc).check()


@pytest.mark.parametrize(
    ("storage", "xc", "spin"),
    [
        ("screened", "hf", 0),
        ("streamed", "hf", 1),
        pytest.param("screened", "pbe", 0, marks=pytest.mark.slow),
        pytest.param("streamed", "b3lyp", 1, marks=pytest.mark.slow),
    ],
)
def test_energies_and_forces_do_not_depend_on_the_form(storage, xc, spin):
    ours, expected = solved(storage, xc, spin), solved("whole", xc, spin)
    assert ours.energy == pytest.approx(expected.energy, abs=SAME)
    np.testing.assert_allclose(jqc.forces(ours), jqc.forces(expected), atol=1e-8)


def test_ranges_are_kept_as_the_first_one():
    ours = with_range(system("streamed"), (0.33,))
    assert {type(factor) for factor in ours.repulsion.values()} == {Streamed}


@pytest.mark.parametrize("storage", ["screened", "streamed"])
def test_derivatives_on_the_grassmannian_do_not_depend_on_the_form(storage):
    expected = solved("whole", "hf")
    at, hf = point(expected.system, expected.mo_coeff), expected.functional
    x = np.random.default_rng(0).normal(size=(1, at.virtual.shape[-1], at.occupied.shape[-1]))
    for found in (lambda s: gradient(hf, s, at), lambda s: hvp(hf, s, at, x)):
        np.testing.assert_allclose(found(system(storage)), found(expected.system), atol=1e-8)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("storage", ["screened", "streamed"])
def test_exchange_of_pairs_does_not_depend_on_the_form(storage, sign):
    n = system("whole").n_padded
    left, right = np.random.default_rng(3).normal(size=(2, n, 4))
    pair = jax.jit(partial(exchange_on_pair, sign=sign))
    ours, expected = (pair(left, right, system(form).repulsion[0.0]) for form in (storage, "whole"))
    np.testing.assert_allclose(ours, expected, atol=1e-7)


def test_streamed_factors_differentiate_to_second_order():
    streamed, whole = system("streamed"), system("whole")
    dm = np.asarray(solved("whole", "hf").dm)
    change = np.random.default_rng(1).normal(size=dm.shape) * 1e-2
    change = change + change.T
    hf = jqc.functional("hf")

    @jax.jit
    def curvature(system):
        slope = jax.grad(lambda dm: jqc.energy(hf, system, dm))
        return jax.jvp(slope, (dm,), (change,))[1]

    np.testing.assert_allclose(curvature(streamed), curvature(whole), atol=1e-7)


def test_without_exchange_a_smaller_set_serves():
    pure = system("screened", "none")
    assert pure.aux_basis == "def2-universal-jfit"
    assert pure.n_factor < 0.7 * system("whole").n_factor
    mole = make_mole(molecule(), "def2-svp")
    theirs = dft.RKS(mole, xc="pbe").density_fit(auxbasis="def2-universal-jfit")
    theirs.grids.level = 1
    assert jqc.scf(pure, "pbe").energy == pytest.approx(theirs.kernel(), abs=1e-7)


def test_without_exchange_a_hybrid_is_refused_before_any_work():
    with pytest.raises(FunctionalError, match="choose 'df' or 'grid'"):
        jqc.scf(system("screened", "none"), "b3lyp")


def test_seminumerical_exchange_is_that_of_pyscf():
    ours = jqc.scf(system("whole", "grid"), "hf").check()
    theirs = sgx_fit(scf.RHF(make_mole(molecule(), "def2-svp")), auxbasis="def2-universal-jfit")
    theirs.with_df.dfj = True
    assert ours.energy == pytest.approx(theirs.kernel(), abs=1e-6)
    assert ours.energy == pytest.approx(solved("whole", "hf").energy, abs=5e-4)


def test_seminumerical_exchange_is_stationary_where_the_energy_is():
    """The Fock matrix is the energy's slope: finite differences along a change of the density."""
    ours = jqc.scf(system("whole", "grid"), "hf").check()
    hf, dm = ours.functional, np.asarray(ours.dm)
    change = np.random.default_rng(2).normal(size=dm.shape)
    change = change + change.T
    energy = jax.jit(lambda dm: jqc.energy(hf, ours.system, dm))
    slope = float(np.sum(np.asarray(jax.grad(energy)(dm)) * change))
    step = 1e-4
    difference = float(energy(dm + step * change) - energy(dm - step * change)) / (2 * step)
    assert difference == pytest.approx(slope, rel=1e-6)


@pytest.mark.slow
def test_seminumerical_exchange_answers():
    ours = jqc.scf(system("whole", "grid"), "hf").check()
    np.testing.assert_allclose(polarizability(ours), polarizability(solved("whole", "hf")), atol=2e-2)


def test_seminumerical_exchange_refuses_what_it_has_not():
    ours = jqc.scf(system("whole", "grid"), "hf").check()
    with pytest.raises(FunctionalError, match="no derivatives by nuclear positions"):
        jqc.forces(ours)
    with pytest.raises(FunctionalError, match="antisymmetric"):
        excitations(ours, states=1)


def test_single_precision_leaves_the_energy():
    rough, expected = jqc.scf(build_system(molecule(), grid_level=1, precision="single"), "pbe"), solved("whole", "pbe")
    assert rough.check().energy == pytest.approx(expected.energy, abs=1e-8)


@pytest.mark.slow
def test_single_precision_leaves_forces_and_responses():
    rough, expected = jqc.scf(build_system(molecule(), grid_level=1, precision="single"), "pbe"), solved("whole", "pbe")
    np.testing.assert_allclose(jqc.forces(rough), jqc.forces(expected), atol=1e-4)
    np.testing.assert_allclose(polarizability(rough), polarizability(expected), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exchange": "fast"}, "unknown exchange 'fast'; choose 'df' or 'grid' or 'none'"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"coulomb": "exact", "exchange": "grid"}, "goes with coulomb='df'"),
        ({"memory": "much"}, "'much' is no amount of memory"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        build_system(molecule(), **options)
