"""Orbitals and quadrature without integrals: the same energies as a system's, and a compact grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.system import build_system
from jqc.system.lengths import shared_lengths
from jqc.system.sampled import sample, with_orbitals
from jqc.xc.quadrature import features, xc_energy

COMPACT_ERROR = 2e-4
"""Hartree; what a compact grid may do to the difference of two functionals."""


@pytest.fixture(scope="module")
def solved(water):
    system = build_system(water, grid_level=3)
    result = jqc.scf(system, "pbe")
    return system, jnp.pad(result.dm, (0, system.n_padded - result.dm.shape[0]))[None]


def energy(sampled, dm, name="pbe"):
    return float(xc_energy(jqc.functional(name), sampled, features(sampled, dm, "sigma")))


def test_energies_are_those_of_the_system(water, solved):
    system, dm = solved
    sampled = jax.tree.map(jnp.asarray, sample(water, "def2-svp", 3))
    assert energy(sampled, dm) == pytest.approx(energy(system, dm), abs=1e-9)
    assert energy(with_orbitals(sampled), dm) == pytest.approx(energy(system, dm), abs=1e-9)


def test_compact_quadrature(water, solved):
    """Differences of functionals come out of few points."""
    system, dm = solved
    sampled = jax.tree.map(jnp.asarray, sample(water, "def2-svp"))
    points = lambda each: sum(int(np.sum(np.asarray(group.weights) != 0)) for group in each.groups)  # noqa: E731
    assert points(sampled) < points(system) / 4
    found, expected = ([energy(each, dm, name) for name in ("pbe", "blyp")] for each in (sampled, system))
    assert found[0] - found[1] == pytest.approx(expected[0] - expected[1], abs=COMPACT_ERROR)


def test_shapes_are_shared(water, hydroxyl):
    room = shared_lengths([water, hydroxyl], "def2-svp", grid_level=0)
    shells = [jax.tree.map(np.shape, sample(molecule, "def2-svp", 0, room).shells) for molecule in (water, hydroxyl)]
    assert shells[0] == shells[1]
