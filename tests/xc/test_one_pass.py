"""One pass over the blocks: what two passes find, and the derivatives of that."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.scf.kernel import reference
from jqc.system import Molecule, build_system, keep_orbitals
from jqc.system import grid as grids
from jqc.xc.one_pass import energy_and_potential, in_one_pass
from jqc.xc.quadrature import features, read_by, xc_energy
from jqc.xc.registry import as_functional


@pytest.fixture(scope="module", params=[0, 1])
def system(request, water):
    """Several groups of screened blocks; the second molecule far away, and one electron more or less."""
    coords = np.concatenate([np.asarray(water.coords), [[0.0, 0.0, 12.0]]])
    numbers = np.append(np.asarray(water.numbers), 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids, "block_size", lambda n_ao: 256)
        return build_system(Molecule(numbers, coords, charge=request.param, spin=request.param), "6-31g", grid_level=0)


@pytest.fixture(scope="module")
def occupied(system):
    spins = 2 if int(system.electrons[0] - system.electrons[1]) else 1
    factor = np.random.default_rng(0).normal(size=(spins, system.n_padded, system.occupied)) / 5
    return jnp.asarray(np.where(np.arange(system.n_padded)[:, None] < int(system.n_ao), factor, 0.0))


def in_two_passes(functional, system, dm):
    def energy(dm):
        u = features(system, dm, read_by(functional))
        return xc_energy(functional, system, u), u

    (found, u), potential = jax.value_and_grad(energy, has_aux=True)(dm)
    return found, 0.5 * (potential + jnp.swapaxes(potential, -1, -2)), u


@pytest.mark.parametrize(
    ("xc", "known"),
    [("slater", False), ("pbe", True), pytest.param("pbe", False, marks=pytest.mark.slow), ("r2scan", True)],
)
def test_it_finds_what_two_passes_find(system, occupied, xc, known):
    functional, dm = as_functional(xc), occupied @ jnp.swapaxes(occupied, -1, -2)
    assert len(system.groups) > 1
    assert in_one_pass(functional, system)
    assert not in_one_pass(functional, keep_orbitals(system))
    once = energy_and_potential(functional, system, dm, occupied if known else None)
    energy, potential, u = in_two_passes(functional, system, dm)
    assert once.energy == pytest.approx(float(energy), abs=1e-11)
    np.testing.assert_allclose(once.potential, potential, atol=1e-11)
    np.testing.assert_allclose(once.u, u, atol=1e-11)


def test_single_precision_is_that_of_the_orbitals(system, occupied):
    functional, dm = as_functional("pbe"), occupied @ jnp.swapaxes(occupied, -1, -2)
    single = replace(system, groups=tuple(replace(group, precision="single") for group in system.groups))
    once, exact = (energy_and_potential(functional, each, dm, occupied) for each in (single, system))
    assert once.u.dtype == once.potential.dtype == jnp.float64
    assert 1e-12 < abs(once.energy - exact.energy) < 1e-4
    np.testing.assert_allclose(once.potential, exact.potential, atol=1e-5)


@pytest.mark.parametrize("xc", ["0.2*hf + 0.8*slater"])
def test_the_fock_matrix_is_the_slope_of_the_energy(system, occupied, xc):
    functional, dm = as_functional(xc), occupied @ jnp.swapaxes(occupied, -1, -2)
    held = reference(functional, system, dm)
    assert held.energy == pytest.approx(float(jqc.energy(functional, system, dm.squeeze())), abs=1e-10)
    slope = jax.grad(jqc.energy, 2)(functional, system, dm.squeeze())
    np.testing.assert_allclose(held.fock.squeeze(), slope, atol=1e-9)


def test_its_derivatives_are_those_of_two_passes(system, occupied):
    """Along a change of the density, and back to it."""
    dm, along = (occupied * scale @ jnp.swapaxes(occupied, -1, -2) for scale in (1.0, 0.1))
    weights = jnp.asarray(np.random.default_rng(1).normal(size=dm.shape))

    functional = as_functional("slater")

    def slope(pass_of, dm):
        return jnp.sum(weights * pass_of(functional, system, dm))

    one, two = lambda *a: energy_and_potential(*a).potential, lambda *a: in_two_passes(*a)[1]
    for mode in (
        lambda f: jax.jvp(lambda dm: slope(f, dm), (dm,), (along,))[1],
        lambda f: jax.grad(lambda dm: slope(f, dm))(dm),
    ):
        np.testing.assert_allclose(mode(one), mode(two), rtol=1e-8, atol=1e-9)


def test_what_sees_the_whole_grid_takes_two():
    class Whole:
        local = False

    assert not in_one_pass(Whole(), None)  # pyright: ignore[reportArgumentType]
