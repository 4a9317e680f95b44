"""Becke's partition against PySCF's, its slopes, and points on nuclei."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf.dft.gen_grid import Grids

from jqc.system import Molecule
from jqc.system.basis import make_mole
from jqc.system.partition import share, size_adjustment


@pytest.fixture(scope="module")
def methanol():
    """Atoms of three sizes, each near to another."""
    symbols = ["C", "O", "H", "H", "H", "H"]
    coords = np.array([[0, 0, 0], [2.7, 0, 0], [-0.7, 1.9, 0], [-0.7, -1, 1.7], [-0.7, -1, -1.7], [3.3, 1.7, 0.1]])
    return Molecule.from_arrays(symbols, coords)


def test_shares_are_those_of_pyscf(methanol):
    mole = make_mole(methanol, "sto-3g")
    grids = Grids(mole)
    grids.level = 0
    table = grids.gen_atomic_grids(mole, level=0)
    points, weights = grids.get_partition(mole, table, grids.radii_adjust, grids.atomic_radii)
    volumes = np.concatenate([table[mole.atom_symbol(atom)][1] for atom in range(mole.natm)])
    owner = np.repeat(np.arange(mole.natm), [len(table[mole.atom_symbol(atom)][1]) for atom in range(mole.natm)])
    adjustment = jnp.asarray(size_adjustment(np.asarray(methanol.numbers)))
    found = share(jnp.asarray(points), jnp.asarray(owner), jnp.asarray(methanol.coords), adjustment)
    np.testing.assert_allclose(found * volumes, weights, rtol=1e-9, atol=1e-14)


def test_shares_add_up_to_one_and_have_slopes(methanol):
    coords, adjustment = jnp.asarray(methanol.coords), jnp.asarray(size_adjustment(np.asarray(methanol.numbers)))
    points = jnp.asarray(np.random.default_rng(0).normal(0, 2, (50, 3)))
    of = jax.jit(lambda coords, points, atom: share(points, jnp.full(len(points), atom), coords, adjustment))
    np.testing.assert_allclose(sum(of(coords, points, atom) for atom in range(6)), 1.0, rtol=1e-12)
    along = jnp.asarray(np.random.default_rng(1).normal(size=coords.shape))
    slope = jax.jvp(lambda c: of(c, points, 1), (coords,), (along,))[1]
    h = 1e-5
    expected = (of(coords + h * along, points, 1) - of(coords - h * along, points, 1)) / (2 * h)
    np.testing.assert_allclose(slope, expected, atol=1e-8)
    on_nuclei = jax.jacrev(lambda c: of(c, jax.lax.stop_gradient(c), 1))(coords)
    assert bool(jnp.isfinite(on_nuclei).all())


def test_one_atom_has_all():
    adjustment = jnp.asarray(size_adjustment(np.array([8])))
    assert share(jnp.ones((2, 3)), jnp.zeros(2, int), jnp.zeros((1, 3)), adjustment).tolist() == [1.0, 1.0]
