"""Orbital values that are kept: which, within which budget, and of which shape."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest

import jqc
from jqc.system import Molecule, build_system, keep, keep_orbitals
from jqc.system.blocks import block_orbitals

pytestmark = pytest.mark.usefixtures("small_blocks")

MOLECULES = Path(__file__).parents[2] / "examples/molecules"


@cache
def system():
    return build_system(Molecule.from_xyz(MOLECULES / "ethanol.xyz"), grid_level=0)


def test_kept_values_are_those_of_the_blocks():
    group = keep_orbitals(system()).groups[0]
    block = jax.tree.map(lambda array: array[1], system().groups[0])
    expected = block_orbitals(system().shells, system().coords, block, True)
    np.testing.assert_allclose(group.orbitals[1], expected, rtol=1e-13, atol=1e-15)


def test_shapes_foretell_what_is_kept():
    described = lambda system: [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(system)]  # noqa: E731
    assert described(keep.kept_shapes(system())) == described(keep_orbitals(system()))


def test_beyond_the_budget_nothing_is_kept():
    narrow = replace(system(), orbital_bytes=keep.orbital_bytes(system().groups[0]))
    kept = [group.orbitals is not None for group in keep_orbitals(narrow).groups]
    assert kept[0]
    assert not kept[-1]


def test_energy_does_not_depend_on_the_budget():
    expected = jqc.scf(system(), "pbe")
    nothing = replace(system(), orbital_bytes=0)
    assert not any(group.orbitals is not None for group in keep_orbitals(nothing).groups)
    assert jqc.scf(nothing, "pbe").energy == pytest.approx(expected.energy, abs=1e-10)


def test_a_result_does_not_hold_them():
    result = jqc.scf(system(), "slater")
    assert all(group.orbitals is None for group in result.system.groups)
