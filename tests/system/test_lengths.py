"""Array lengths that molecules share: same energies, one program, and classes that waste little."""

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jqc
from jqc.scf.drive import advance
from jqc.system import build_system, size_classes
from jqc.system.lengths import Lengths, classes, lengths_needed, lengths_of

SAME = 1e-9
"""Hartree; padding and other groups change the order of summation."""


@pytest.fixture(scope="module")
def pair(water, hydroxyl):
    """Water and the hydroxide ion."""
    return [water, jqc.Molecule(hydroxyl.numbers, hydroxyl.coords, charge=-1)]


@pytest.fixture(scope="module")
def room(pair) -> Lengths:
    return size_classes(pair, grid_level=0, waste=0.9).classes[0].lengths


def test_energies_are_those_without_padding(pair, room):
    for molecule in pair:
        alone, padded = build_system(molecule, grid_level=0), build_system(molecule, grid_level=0, like=room)
        assert padded.n_padded == room.orbitals
        found = jqc.scf(padded, "slater").energy
        assert found == pytest.approx(jqc.scf(alone, "slater").energy, abs=SAME)


def test_molecules_of_a_class_share_shapes_and_programs(pair, room):
    systems = [build_system(molecule, grid_level=0, like=room) for molecule in pair]
    shapes = [jax.tree.map(lambda leaf: leaf.shape, system) for system in systems]
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])
    assert [lengths_of(system) for system in systems] == [room, room]
    jqc.scf(systems[0], "slater")
    compiled = advance._cache_size()
    jqc.scf(systems[1], "slater")
    assert advance._cache_size() == compiled


def test_needed_lengths_are_those_of_the_system(water):
    needed = lengths_needed(water, "def2-svp")
    made = lengths_of(build_system(water, grid_level=0))
    assert needed == Lengths(made.atoms, made.orbitals, made.occupied, made.factors, made.shells)


def test_a_basis_with_fewer_angular_momenta_fits_too(water, room):
    """Hydrogen alone has no d functions, and gets empty shells."""
    hydrogen = jqc.Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]])
    padded, alone = build_system(hydrogen, grid_level=0, like=room), build_system(hydrogen, grid_level=0)
    assert len(padded.shells) == 3
    assert jqc.scf(padded, "pbe").energy == pytest.approx(jqc.scf(alone, "pbe").energy, abs=SAME)


@given(sizes=st.lists(st.integers(1, 500), max_size=40), ratio=st.floats(0.1, 1.0))
def test_classes(sizes, ratio):
    found = classes(sizes, ratio)
    assert sorted(index for members in found for index in members) == list(range(len(sizes)))
    for members in found:
        inside = [sizes[index] for index in members]
        assert min(inside) >= ratio * max(inside)
