"""Size classes of a data set: few shapes for many molecules, with a bound on the work that padding adds.

Work is what one Fock matrix with exact exchange takes in multiplications,

    Σ_groups points · rows · (4 occ + rows)  +  aux · ao² · (1 + 2 occ),

the quadrature, the Coulomb matrix and K. Waste is the share of a class's work that its members would not have with the
lengths that `build_system` gives to each alone.
"""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from jqc.errors import InputError
from jqc.system.basis import make_mole, make_shells
from jqc.system.blocks import GroupShape, reaching, shared_shapes
from jqc.system.coarse import coarse_grid, pays
from jqc.system.grid import Grid, block_size, check_level, molecular_grid, most_points
from jqc.system.gto import Shells
from jqc.system.lengths import Formula, Lengths, formula, needed_by_name
from jqc.system.molecule import Molecule

WASTE = 0.3
"""Share of the work that padding may take by default."""

SAMPLE = 16
"""Members of a class whose blocks are looked at; the others are taken to be like them."""

SPARE = 1
"""Blocks that a class has for members whose blocks were not looked at."""

KEPT = 0.95
"""Share of the points of atoms' grids that count in a molecule, or less."""


@dataclass(frozen=True)
class SizeClass:
    """Places of its molecules in the data set, array lengths, and the share of work that is padding.

    `known` holds what tells its molecules from others, and their formulas.
    """

    members: tuple[int, ...]
    known: frozenset[Hashable]
    lengths: Lengths
    waste: float


@dataclass(frozen=True)
class SizeClasses:
    """Size classes of a data set, smallest first, and the calculation that they are for.

    Molecules that the basis has no functions for are in none. `str` makes a table.
    """

    classes: tuple[SizeClass, ...]
    basis: str
    aux_basis: str | None
    grid_level: int

    @property
    def rooms(self) -> dict[int, Lengths]:
        """Array lengths by place in the data set, in order of size."""
        return {place: each.lengths for each in self.classes for place in each.members}

    @property
    def waste(self) -> float:
        """Share of all molecules' work that is padding."""
        padded = [len(each.members) * work(each.lengths) for each in self.classes]
        return float(np.average([each.waste for each in self.classes], weights=padded))

    def room(self, molecule: Molecule, needed: Lengths) -> Lengths | None:
        """Lengths of the class of a molecule, or of its formula, or the smallest with room for it, if there is one.

        Room for points is guessed: how many count is known when the grid has been made.
        """
        for known in (_identity(molecule), formula(molecule)):
            for each in reversed(self.classes):
                if known in each.known:
                    return each.lengths
        points = KEPT * most_points(make_mole(molecule, self.basis), self.grid_level)
        fit = (each.lengths for each in self.classes if each.lengths.holds(needed) and _points(each.lengths) >= points)
        return next(fit, None)

    def __str__(self) -> str:
        rows = ["class  molecules  orbitals  occupied  fitting   points  waste"]
        for number, each in enumerate(self.classes, start=1):
            room = each.lengths
            rows.append(
                f"{number:5d} {len(each.members):10d} {room.orbitals:9d} {room.occupied:9d} {room.factors:8d} "
                f"{_points(room):8d} {each.waste:6.0%}"
            )
        molecules = sum(len(each.members) for each in self.classes)
        return "\n".join([*rows, f"  all {molecules:10d} {self.waste:44.0%}"])


def _identity(molecule: Molecule) -> str:
    """Digits that another molecule, or another geometry, does not have."""
    return hashlib.sha256(np.asarray(molecule.coords).tobytes() + repr(formula(molecule)).encode()).hexdigest()


def work(lengths: Lengths, block: int | None = None) -> float:
    """Multiplications of one Fock matrix with exact exchange in arrays of these lengths; `block` points in a block."""
    occ, points = lengths.occupied, block or block_size(lengths.orbitals)
    quadrature = sum(points * each.blocks * each.rows * (4 * occ + each.rows) for each in lengths.groups)
    return float(quadrature + lengths.factors * lengths.orbitals**2 * (1 + 2 * occ))


def _points(lengths: Lengths) -> int:
    return block_size(lengths.orbitals) * sum(each.blocks for each in lengths.groups)


def _unscreened(needed: Lengths, points: int) -> Lengths:
    """The lengths with every orbital on every point, in one group: no grid has to be made to know them."""
    blocks = -(-points // block_size(needed.orbitals))
    active = tuple(places - 1 for places, _ in needed.shells)
    return replace(needed, groups=(GroupShape(blocks, needed.orbitals, active),))


def size_classes(
    molecules: Sequence[Molecule],
    basis: str = "def2-svp",
    aux_basis: str | None = None,
    grid_level: int = 3,
    waste: float = WASTE,
) -> SizeClasses:
    """Few classes of array lengths for many molecules, in none of which more than `waste` of the work is padding.

    From the largest molecule down, each joins the class of the one before where the bound allows it. Blocks of points
    are those of up to `SAMPLE` members; members of one formula are geometries of one class.

    Raises
    ------
    InputError
        No molecule, a bound outside [0, 1), an unknown grid level.
    BasisError
        An unknown basis, or one that has functions for no molecule.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> helium, argon = (Molecule.from_arrays([name], [[0.0, 0.0, 0.0]]) for name in ("He", "Ar"))
    >>> classes = size_classes([helium, argon, helium], "sto-3g", grid_level=0)
    >>> [each.members for each in classes.classes]
    [(0, 2), (1,)]
    """
    check_level(grid_level)
    if not molecules or not 0 <= waste < 1:
        raise InputError(
            f"{len(molecules)} molecules and a waste of {waste} make no classes; give some, and 0 ≤ waste < 1."
        )
    needed = needed_by_name(dict(enumerate(molecules)), basis, aux_basis)
    alike: dict[Formula, list[int]] = {}
    for place in needed:
        alike.setdefault(formula(molecules[place]), []).append(place)
    kinds = [
        (_unscreened(needed[places[0]], most_points(make_mole(molecules[places[0]], basis), grid_level)), places)
        for places in alike.values()
    ]
    kinds.sort(key=lambda kind: -work(kind[0]))
    of_walked = lambda group: _Maker(molecules, needed, basis, grid_level, {}).within(group, waste)  # noqa: E731
    made = [each for group in _walked(kinds, waste) for each in of_walked(group)]
    return SizeClasses(tuple(sorted(made, key=lambda each: work(each.lengths))), basis, aux_basis, grid_level)


def _walked(kinds: list[tuple[Lengths, list[int]]], waste: float) -> list[list[int]]:
    """Members of classes, from the largest kind of molecule down; lengths are unscreened ones."""
    groups: list[list[int]] = []
    room, useful = Lengths(), 0.0
    for lengths, places in kinds:
        joined = _joined(room, lengths)
        total = useful + len(places) * work(lengths)
        if groups and total >= (1 - waste) * (len(groups[-1]) + len(places)) * work(joined):
            groups[-1] += places
            room, useful = joined, total
        else:
            groups.append([*places])
            room, useful = lengths, len(places) * work(lengths)
    return groups


def _joined(one: Lengths, other: Lengths) -> Lengths:
    """Room for either, blocks of their one group included."""
    room = one.joined(other)
    blocks = max((-(-_points(each) // block_size(room.orbitals)) for each in (one, other) if each.groups), default=0)
    return replace(room, groups=(replace(room.groups[0], blocks=blocks, rows=room.orbitals),))


@dataclass(frozen=True)
class _Maker:
    """What classes are made from, and grids that have been made, for halves of a class to use again."""

    molecules: Sequence[Molecule]
    needed: dict[int, Lengths]
    basis: str
    grid_level: int
    grids: dict[tuple[int, int], tuple[Grid, Grid]]

    def within(self, members: list[int], waste: float) -> list[SizeClass]:
        """The members as one class, or in halves where its blocks waste more than the bound."""
        made = self._class(members)
        if made.waste <= waste or len(members) == 1:
            return [made]
        half = len(members) // 2
        return self.within(members[:half], waste) + self.within(members[half:], waste)

    def _class(self, members: list[int]) -> SizeClass:
        """Lengths that members share, whose order is that of size; waste is that of the sample."""
        room = reduce(Lengths.joined, (self.needed[place] for place in members))
        sample = [members[at] for at in np.unique(np.linspace(0, len(members) - 1, SAMPLE).astype(int))]
        looks = [self._look(place, room) for place in sample]
        shells, spare = [look.shells for look in looks], SPARE * (len(sample) < len(members))
        groups = _with_spare(shared_shapes([look.fine for look in looks], shells), room, spare)
        coarse = ()
        if any(look.pays for look in looks):
            coarse = _with_spare(shared_shapes([look.coarse for look in looks], shells), room, spare)
        room = replace(room, groups=groups, coarse=coarse)
        alone = [
            replace(self.needed[place], groups=shared_shapes([look.fine], [look.shells]))
            for place, look in zip(sample, looks, strict=True)
        ]
        useful = np.mean([work(each, block_size(room.orbitals)) for each in alone])
        held = [self.molecules[place] for place in members]
        known = frozenset([*map(_identity, held), *map(formula, held)])
        return SizeClass(tuple(sorted(members)), known, room, 1 - float(useful) / work(room))

    def _look(self, place: int, room: Lengths) -> "_Look":
        mole, key = make_mole(self.molecules[place], self.basis), (place, block_size(room.orbitals))
        if key not in self.grids:
            fine = molecular_grid(mole, self.grid_level, room.orbitals)
            self.grids[key] = fine, coarse_grid(mole, room.orbitals)
        shells = make_shells(mole, room.orbitals, room.shells)
        fine, coarse = (reaching(grid, shells, mole.atom_coords()) for grid in self.grids[key])
        return _Look(shells, fine, coarse, pays(len(self.grids[key][0].weights), mole.natm, room.orbitals))


def _with_spare(shapes: tuple[GroupShape, ...], room: Lengths, spare: int) -> tuple[GroupShape, ...]:
    """Groups with spare blocks, if any, for whatever reaches them."""
    if not spare:
        return shapes
    any_block = tuple(places - 1 for places, _ in room.shells)
    return (*shapes[:-1], GroupShape(shapes[-1].blocks + spare, room.orbitals, any_block))


@dataclass(frozen=True)
class _Look:
    """A member's shells, which of them reach each block of either quadrature, and whether the rougher one pays."""

    shells: tuple[Shells, ...]
    fine: list[np.ndarray]
    coarse: list[np.ndarray]
    pays: bool
