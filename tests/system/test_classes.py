"""Size classes of a data set: what they hold, what they waste, and what fits into them."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import jqc
from jqc.errors import BasisError, InputError
from jqc.system import build_system, build_systems, size_classes
from jqc.system.classes import SAMPLE, work
from jqc.system.lengths import Lengths, lengths_needed, lengths_of


def moved(molecule: jqc.Molecule, count: int, by: float = 0.1) -> list[jqc.Molecule]:
    random = np.random.default_rng(0)
    coords = np.asarray(molecule.coords)
    return [jqc.Molecule(molecule.numbers, coords + random.uniform(-by, by, coords.shape)) for _ in range(count)]


@pytest.fixture(scope="module")
def many(water, example) -> list[jqc.Molecule]:
    return [example("ethanol"), water, example("formamide"), *moved(water, 2), example("hcl"), example("so2")]


@pytest.mark.parametrize("bound", [0.0, 0.1, 0.3, 0.6, 0.95])
def test_waste_stays_below_the_bound_and_is_what_systems_have(many, bound):
    classes = size_classes(many, grid_level=0, waste=bound)
    assert sorted(classes.rooms) == list(range(len(many)))
    for each in classes.classes:
        alone = [work(lengths_of(build_system(many[place], grid_level=0))) for place in each.members]
        assert each.waste <= max(bound, 1e-12)
        assert each.waste == pytest.approx(1 - np.mean(alone) / work(each.lengths), abs=1e-9)
    assert classes.waste <= max(bound, 1e-12)


def test_a_looser_bound_takes_fewer_classes(many):
    counts = [len(size_classes(many, grid_level=0, waste=bound).classes) for bound in (0.0, 0.3, 0.6, 0.95)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 1


def test_systems_have_the_lengths_of_their_class(many):
    classes = size_classes(many, grid_level=0)
    made = [lengths_of(system) for system in build_systems(many, grid_level=0, classes=classes)]
    assert made == [classes.rooms[place] for place in range(len(many))]
    assert [len(set(map(made.__getitem__, each.members))) for each in classes.classes] == [1] * len(classes.classes)


def test_a_molecule_alone_has_the_lengths_it_would_have(water):
    alone = size_classes([water], grid_level=0).classes[0]
    assert alone.lengths == lengths_of(build_system(water, grid_level=0))
    assert alone.waste == 0


def test_a_class_with_too_few_points_is_none(water, example):
    """Sulphur dioxide has as many orbitals as molecules of twice its points."""
    classes = size_classes([example("so2"), example("ethanol")], grid_level=0)
    small, large = classes.classes
    dimethyl_ether = jqc.Molecule(example("ethanol").numbers, example("ethanol").coords, charge=-2)
    assert small.lengths.orbitals <= large.lengths.orbitals
    assert classes.room(dimethyl_ether, Lengths()) == large.lengths
    assert classes.room(water, Lengths()) == small.lengths


@pytest.mark.usefixtures("small_blocks")
def test_geometries_share_one_class_of_which_few_are_looked_at(water):
    geometries = moved(water, 3 * SAMPLE)
    classes = size_classes(geometries, grid_level=0)
    assert len(classes.classes) == 1
    assert classes.waste < 0.2
    assert len({lengths_of(system) for system in build_systems(geometries, grid_level=0, classes=classes)}) == 1


@pytest.mark.usefixtures("small_blocks")
def test_who_follows_a_larger_one_has_its_lengths(water):
    """Where blocks outgrow a class, one more program is compiled and not one for each."""
    far = jqc.Molecule(water.numbers, np.asarray(water.coords) * 3)
    classes = size_classes([far], grid_level=0)
    made = build_systems([far, water, far], grid_level=0, classes=classes)
    first, second, third = (lengths_of(system) for system in made)
    assert first == classes.classes[0].lengths
    assert second != first
    assert third == second


def test_new_molecules_find_the_smallest_class_that_holds_them(many, water):
    classes = size_classes(many, grid_level=0)
    (own,) = (each.lengths for each in classes.classes if 1 in each.members)
    ammonia, neon = (
        jqc.Molecule(np.array([7, 1, 1, 1]), np.eye(4)[:, :3]),
        jqc.Molecule(np.array([10]), np.zeros((1, 3))),
    )
    for molecule in (water, neon):  # of a formula that is known, and of one that is not
        assert classes.room(molecule, lengths_needed(molecule, "def2-svp")) == own
    assert classes.room(ammonia, Lengths(atoms=100)) is None


@pytest.mark.parametrize("bound", [0.0, 0.3])
def test_each_goes_where_it_was_put(many, bound):
    """Also where a smaller class has room for it, or another one has its formula."""
    classes = size_classes(many, grid_level=0, waste=bound)
    needed = [lengths_needed(molecule, "def2-svp") for molecule in many]
    assert [classes.room(*both) for both in zip(many, needed, strict=True)] == [
        classes.rooms[place] for place in range(len(many))
    ]


def test_unpaired_electrons_have_columns_of_their_own(water):
    """The same formula with another charge needs other lengths."""
    anion = jqc.Molecule(water.numbers, water.coords, charge=-1, spin=1)
    assert size_classes([water, anion], "sto-3g", grid_level=0, waste=0.9).classes[0].lengths.occupied == 6


def test_molecules_without_a_basis_are_left_out_or_refused(water):
    radon = jqc.Molecule.from_arrays(["Rn"], [[0.0, 0.0, 0.0]])
    assert list(size_classes([radon, water], "sto-3g", grid_level=0).rooms) == [1]
    with pytest.raises(BasisError, match="no functions for Rn"):
        build_systems([water, radon], "sto-3g", grid_level=0)
    with pytest.raises(BasisError):
        size_classes([radon], "sto-3g", grid_level=0)


def test_the_table_tells_every_class(many):
    classes = size_classes(many, grid_level=0)
    lines = str(classes).splitlines()
    assert len(lines) == len(classes.classes) + 2
    assert [int(line.split()[1]) for line in lines[1:-1]] == [len(each.members) for each in classes.classes]


def test_bad_input(water):
    classes = size_classes([water], grid_level=0)
    for options in ({"waste": 1.0}, {"waste": -0.1}, {"grid_level": 10}):
        with pytest.raises(InputError):
            size_classes([water], **options)
    with pytest.raises(InputError, match="0 molecules"):
        size_classes([])
    with pytest.raises(InputError, match="coulomb"):
        build_systems([water], coulomb="none", grid_level=0)
    with pytest.raises(InputError, match="classes are for def2-svp"):
        build_systems([water], "sto-3g", grid_level=0, classes=classes)


def test_ranges_have_the_lengths_of_the_class(water, hydroxyl):
    """Attenuated integrals are padded like all others, so that range-separated hybrids share programs too."""
    anion = jqc.Molecule(hydroxyl.numbers, hydroxyl.coords, charge=-1)
    classes = size_classes([water, anion], "sto-3g", grid_level=0, waste=0.9)
    systems = build_systems([water, anion], "sto-3g", grid_level=0, classes=classes)
    ranged = [jqc.system.with_range(system, (0.33,)) for system in systems]
    shapes = [jax.tree.map(lambda leaf: leaf.shape, replace(system, groups=())) for system in ranged]
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])
