"""Groups of blocks: shapes that outlive a geometry, and what they hold."""

from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jqc
from jqc.scf.drive import advance
from jqc.system import Molecule, System, build_system
from jqc.system.blocks import GroupShape, shape_of

pytestmark = pytest.mark.usefixtures("small_blocks")

MOLECULES = Path(__file__).parents[2] / "examples/molecules"

ENERGY = 1e-9
"""Hartree; the same blocks in other groups are added up in another order."""


@cache
def molecule() -> Molecule:
    return Molecule.from_xyz(MOLECULES / "ethanol.xyz")


@cache
def system() -> System:
    return build_system(molecule(), grid_level=1)


def moved(size: float, seed: int) -> Molecule:
    shift = np.random.default_rng(seed).normal(scale=size, size=molecule().coords.shape)
    return Molecule(molecule().numbers, np.asarray(molecule().coords) + shift)


def shapes(held: System) -> tuple[GroupShape, ...]:
    return tuple(shape_of(group) for group in held.groups)


def shares(held: System) -> list[float]:
    """Weights of all points that count, in order."""
    weights = np.concatenate([np.asarray(group.weights).ravel() for group in held.groups])
    return sorted(weights[weights != 0].tolist())


@settings(max_examples=10, deadline=None)
@given(size=st.floats(0.0, 0.5), seed=st.integers(0, 1000))
def test_groups_like_those_of_another_geometry_hold_the_same_points(size, seed):
    held = build_system(moved(size, seed), grid_level=1, like=system())
    alone = build_system(moved(size, seed), grid_level=1)
    assert shares(held) == shares(alone)
    assert shapes(held)[:-1] == shapes(system())[:-1]
    last, before = shapes(held)[-1], shapes(system())[-1]
    assert last.joined(before) == last


def test_energy_does_not_depend_on_the_groups():
    alone = build_system(moved(0.2, 3), grid_level=1)
    grown = build_system(moved(0.2, 3), grid_level=1, like=build_system(moved(1.0, 5), grid_level=1, like=system()))
    assert shapes(alone) != shapes(grown)
    assert jqc.scf(grown, "pbe").energy == pytest.approx(jqc.scf(alone, "pbe").energy, abs=ENERGY)


def test_a_trajectory_compiles_once():
    """After its shapes have grown, no geometry compiles anything; shapes alone serve as a pattern."""
    pattern = system()
    for seed in range(4):
        pattern = build_system(moved(0.05, seed), grid_level=1, like=pattern)
    pattern = jax.eval_shape(lambda: pattern)
    jqc.scf(build_system(moved(0.05, 4), grid_level=1, like=pattern), "slater")
    compiled = advance._cache_size()
    seen = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, _, **__: seen.append(event))
    try:
        for seed in range(5, 8):
            jqc.scf(build_system(moved(0.05, seed), grid_level=1, like=pattern), "slater")
    finally:
        jax.monitoring.clear_event_listeners()
    assert advance._cache_size() == compiled
    assert not [event for event in seen if "backend_compile" in event]


def test_a_system_of_another_size_is_no_pattern():
    water = Molecule.from_xyz(MOLECULES / "water.xyz")
    held = build_system(water, grid_level=1, like=system())
    assert shapes(held) == shapes(build_system(water, grid_level=1))


def test_exact_integrals_keep_their_rank():
    water = Molecule.from_xyz(MOLECULES / "water.xyz")
    first = build_system(water, coulomb="exact", grid_level=0)
    stretched = Molecule(water.numbers, np.asarray(water.coords) * 3)
    held = build_system(stretched, coulomb="exact", grid_level=0, like=first)
    assert held.n_factor >= first.n_factor
