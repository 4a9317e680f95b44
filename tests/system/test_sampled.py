"""Orbitals and quadrature without integrals: the same energies as a system's, and a compact grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.scf.guess import initial_dm
from jqc.system import build_system, size_classes
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
    return float(xc_energy(jqc.functional(name), sampled, features(sampled, dm, "tau")))


def test_energies_are_those_of_the_system(water, solved):
    system, dm = solved
    sampled = jax.tree.map(jnp.asarray, sample(water, "def2-svp", 3))
    assert energy(sampled, dm) == pytest.approx(energy(system, dm), abs=1e-9)
    assert energy(with_orbitals(sampled), dm) == pytest.approx(energy(system, dm), abs=1e-9)


def test_compact_quadrature(water, solved):
    """Differences of functionals come out of few points."""
    system, dm = solved
    assert compact_error(water, system, dm, "pbe") < COMPACT_ERROR


def test_compact_quadrature_of_kinetic_energy_densities(example):
    """They ask for more of the radial points, above all of carbon's."""
    formamide = example("formamide")
    system = build_system(formamide, grid_level=3)
    dm = jnp.asarray(initial_dm(system, "minao", 1))
    assert compact_error(formamide, system, dm, "r2scan") < COMPACT_ERROR


def compact_error(molecule, system, dm, name):
    """Of a functional less BLYP in hartree; the quadrature has less than a quarter of the points."""
    sampled = jax.tree.map(jnp.asarray, sample(molecule, "def2-svp"))
    points = lambda each: sum(int(np.sum(np.asarray(group.weights) != 0)) for group in each.groups)  # noqa: E731
    assert points(sampled) < points(system) / 4
    found, expected = (energy(each, dm, name) - energy(each, dm, "blyp") for each in (sampled, system))
    return abs(found - expected)


def test_shapes_are_shared(water, hydroxyl):
    room = size_classes([water, hydroxyl], grid_level=0, waste=0.9).classes[0].lengths
    shells = [jax.tree.map(np.shape, sample(molecule, "def2-svp", 0, room).shells) for molecule in (water, hydroxyl)]
    assert shells[0] == shells[1]
