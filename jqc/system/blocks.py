"""The quadrature in blocks: points, weights, and for each block the shells that reach it.

Blocks with similar numbers of reaching shells form a group, so that each group is one set of dense arrays with
little padding, and one scan in the compiled program.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jqc.system import gto
from jqc.system.basis import shell_reach
from jqc.system.grid import Grid
from jqc.system.gto import Shells
from jqc.system.padding import pad_axis, size_class
from jqc.typing import Array, Float, Int

CEILINGS = (0.07, 0.1, 0.14, 0.2, 0.27, 0.35, 0.45, 0.55, 0.65, 0.75, 0.87, 1.0)
"""Groups hold blocks that are reached by at most these fractions of all orbitals."""

SMALLEST_GROUP = 0.1
"""Least share of all blocks that makes a group."""

STEPS = 32
"""Groups make room for orbitals and shells in steps of this fraction of all, so that few shapes occur."""

PRECISIONS = ("double", "single")
"""Of orbital values on the grid and of products with them."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BlockGroup:
    """Blocks that are computed alike; every array leads with the block axis, so a scan hands out single blocks.

    `active` lists, per angular momentum, the shells that reach a block (the rest of the list points at an empty
    shell), `starts` the row at which each angular momentum begins, `index` the orbital behind each row (beyond the
    last orbital for padding). `orbitals` holds φ and ∇φ of these rows where memory allows, else they are evaluated
    when needed; they are evaluated in double precision and then handed out in `precision`. `owner` is the atom that a
    point moves with, none for points of unknown origin. Blocks may be spread over the devices of a mesh of one axis.
    """

    coords: Float[Array, "block grid 3"]
    weights: Float[Array, "block grid"]
    owner: Int[Array, "block grid"] | None
    active: tuple[Int[Array, "block shell"], ...]
    starts: Int[Array, "block momentum"]
    index: Int[Array, "block row"]
    orbitals: Float[Array, "block row 4 grid"] | None
    precision: str = field(default="double", metadata={"static": True})
    mesh: Mesh | None = field(default=None, metadata={"static": True})

    @property
    def dtype(self) -> str:
        """Of orbital values, in `precision`."""
        return {"double": "float64", "single": "float32"}[self.precision]


def reaching(grid: Grid, shells: tuple[Shells, ...], atom_coords: np.ndarray) -> list[np.ndarray]:
    """Which shells of each angular momentum reach each block, (block, shell) of bool, by nearest distance."""
    coords, _ = in_blocks(grid)
    x, y, z = np.moveaxis(coords, 2, 0)
    nearest = [((x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2).min(axis=1) for at in atom_coords]
    distance = np.sqrt(np.stack(nearest, axis=1))
    return [distance[:, s.atom] < shell_reach(s, l, grid.cutoff) for l, s in enumerate(shells)]


@dataclass(frozen=True)
class GroupShape:
    """Room that a group has: blocks, orbital rows in each, and reaching shells of each angular momentum."""

    blocks: int
    rows: int
    active: tuple[int, ...]

    def joined(self, other: "GroupShape") -> "GroupShape":
        """Room for what either has room for."""
        active = tuple(max(pair) for pair in zip(self.active, other.active, strict=True))
        return GroupShape(max(self.blocks, other.blocks), max(self.rows, other.rows), active)


def shape_of(group: BlockGroup) -> GroupShape:
    """The room of a group at hand."""
    blocks, rows = group.index.shape
    return GroupShape(blocks, rows, tuple(active.shape[1] for active in group.active))


def make_groups(
    grid: Grid,
    shells: tuple[Shells, ...],
    atom_coords: np.ndarray,
    like: tuple[GroupShape, ...] = (),
    precision: str = "double",
) -> tuple[BlockGroup, ...]:
    """Cut a grid into blocks, screen the shells, and gather blocks with similar orbital counts.

    Groups take the shapes of `like`, the last one growing where blocks find no room; without, shapes of their own.
    """
    coords, weights = in_blocks(grid)
    owner = None if grid.owner is None else _cut(grid.owner, len(weights), grid.block)
    reach = reaching(grid, shells, atom_coords)
    members, shapes = _into_shapes(like or shared_shapes([reach], [shells]), reach, shells)
    return tuple(
        replace(_gather(m, s, coords, weights, owner, reach, shells), precision=precision)
        for m, s in zip(members, shapes, strict=True)
    )


def in_blocks(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Points (block, grid, 3) and weights (block, grid) of a grid; the last block is filled up."""
    blocks = -(-len(grid.weights) // grid.block)
    # Padding points repeat the last point at weight zero: they reach no shell that it does not.
    coords = _cut(grid.coords, blocks, grid.block)
    return coords, pad_axis(grid.weights, blocks * grid.block).reshape(blocks, grid.block)


def _cut(array: np.ndarray, blocks: int, block: int) -> np.ndarray:
    """An array of points in blocks, the last one filled up with the last point."""
    missing = ((0, blocks * block - len(array)), *[(0, 0)] * (array.ndim - 1))
    return np.pad(array, missing, mode="edge").reshape(blocks, block, *array.shape[1:])


def shared_shapes(reaches: Sequence[list[np.ndarray]], shells: Sequence[tuple[Shells, ...]]) -> tuple[GroupShape, ...]:
    """Shapes of groups that hold the blocks of each of these molecules or geometries, given what is `reaching` them.

    Groups hold blocks below each ceiling; one too small for a program joins a wider one. Blocks wider than any ceiling
    are as many as in the molecule with most of them, so that each molecule's find room, narrow ones in wide places.
    """
    counts = [max(each) for each in zip(*map(_shell_counts, shells), strict=True)]
    fractions = [_row_counts(reach) / _orbital_count(counts) for reach in reaches]
    wider = lambda ceiling: max(int((fraction > ceiling).sum()) for fraction in fractions)  # noqa: E731
    smallest = SMALLEST_GROUP * wider(-1.0)
    bounds = [-1.0]
    for ceiling in CEILINGS[:-1]:
        if wider(bounds[-1]) - wider(ceiling) >= smallest:
            bounds.append(ceiling)
    if len(bounds) > 1 and wider(bounds[-1]) < smallest:
        bounds.pop()
    shapes = []
    for low, high in zip(bounds, (*bounds[1:], CEILINGS[-1]), strict=True):
        held = [_needs(np.flatnonzero(f <= high), reach) for f, reach in zip(fractions, reaches, strict=True)]
        shapes.append(replace(reduce(GroupShape.joined, held), blocks=wider(low) - wider(high)))
    return tuple(_rounded(shape, counts) for shape in shapes)


def _into_shapes(
    like: tuple[GroupShape, ...], reach: list[np.ndarray], shells: tuple[Shells, ...]
) -> tuple[list[np.ndarray], list[GroupShape]]:
    """Each block into the narrowest group with room for it, the rest into the last one.

    The last group grows where it must, and then gets spare room, so that geometries of a trajectory soon share shapes:
    counts of blocks fluctuate with their root.
    """
    rows = _row_counts(reach)
    waiting = np.argsort(rows, kind="stable")
    members = []
    for shape in like[:-1]:
        fits = rows[waiting] <= shape.rows
        for mask, places in zip(reach, shape.active, strict=True):
            fits &= mask[waiting].sum(1) <= places
        fits &= np.cumsum(fits) <= shape.blocks
        members.append(waiting[fits])
        waiting = waiting[~fits]
    needs, last = _needs(waiting, reach), like[-1]
    if last.joined(needs) != last:
        last = last.joined(_rounded(needs, _shell_counts(shells), spare=int(np.ceil(np.sqrt(rows.size) / 2))))
    return [*members, waiting], [*like[:-1], last]


def _row_counts(reach: list[np.ndarray]) -> np.ndarray:
    """Orbitals that reach each block."""
    return np.sum([(2 * l + 1) * mask.sum(1) for l, mask in enumerate(reach)], axis=0)


def _needs(members: np.ndarray, reach: list[np.ndarray]) -> GroupShape:
    """The shape that just holds these blocks."""
    masks = [mask[members] for mask in reach]
    widest = lambda counts: int(counts.max(initial=0))  # noqa: E731
    return GroupShape(members.size, widest(_row_counts(masks)), tuple(widest(mask.sum(1)) for mask in masks))


def _rounded(needs: GroupShape, counts: Sequence[int], spare: int = 0) -> GroupShape:
    """A shape of which few occur; with `spare` blocks also one more step of orbitals and shells."""

    def room(needed: int, total: int) -> int:
        step = max(1, -(-total // STEPS))
        return min(total, (-(-needed // step) + (spare > 0)) * step)

    active = tuple(room(n, count) for n, count in zip(needs.active, counts, strict=True))
    return GroupShape(size_class(needs.blocks + spare), room(needs.rows, _orbital_count(counts)), active)


def _gather(members, shape: GroupShape, coords, weights, owner, reach, shells) -> BlockGroup:
    """Arrays of one group, padded to its shape with empty blocks."""
    masks = [pad_axis(mask[members], shape.blocks) for mask in reach]
    rows = np.cumsum([(2 * l + 1) * mask.sum(1) for l, mask in enumerate(masks)], axis=0)
    starts = np.concatenate([np.zeros((1, shape.blocks), int), rows[:-1]]).T
    return BlockGroup(
        pad_axis(coords[members], shape.blocks),  # pyright: ignore[reportArgumentType]
        pad_axis(weights[members], shape.blocks),  # pyright: ignore[reportArgumentType]
        None if owner is None else pad_axis(owner[members], shape.blocks),  # pyright: ignore[reportArgumentType]
        tuple(_active(mask, places) for mask, places in zip(masks, shape.active, strict=True)),  # pyright: ignore[reportArgumentType]
        starts.astype(np.int32),  # pyright: ignore[reportArgumentType]
        _orbitals_behind(masks, shells, shape.rows),  # pyright: ignore[reportArgumentType]
        None,
    )


def _shell_counts(shells: tuple[Shells, ...]) -> list[int]:
    """Shells of each angular momentum but the padding."""
    return [int((s.offset < s.offset[-1]).sum()) for s in shells]


def _orbital_count(counts: Sequence[int]) -> int:
    """Orbitals of that many shells of each angular momentum."""
    return sum((2 * l + 1) * count for l, count in enumerate(counts))


def _active(mask: np.ndarray, places: int) -> np.ndarray:
    """Reaching shells of each block, listed first; the other places hold the empty shell."""
    order = np.argsort(~mask, axis=1, kind="stable")[:, :places]
    return np.where(np.take_along_axis(mask, order, axis=1), order, mask.shape[1] - 1).astype(np.int32)


def _orbitals_behind(masks: list[np.ndarray], shells: tuple[Shells, ...], places: int) -> np.ndarray:
    """Orbital of each row: those of the reaching shells, by angular momentum, then padding."""
    nowhere = shells[0].offset[-1]
    listed = [
        np.where(mask[:, :, None], s.offset[:, None] + np.arange(2 * l + 1), nowhere).reshape(len(mask), -1)
        for l, (mask, s) in enumerate(zip(masks, shells, strict=True))
    ]
    index = np.concatenate(listed, axis=1)
    order = np.argsort(index == nowhere, axis=1, kind="stable")[:, :places]
    return np.take_along_axis(index, order, axis=1).astype(np.int32)


def over_blocks(function, group: BlockGroup, *operands: Any) -> Array:
    """`function(block, *operands)` of every block, one after another; each device of the group's mesh takes its own."""

    def each(group, *operands):
        return jax.lax.map(lambda block: function(block, *operands), group)

    if not group.mesh:
        return each(group, *operands)
    own = PartitionSpec(group.mesh.axis_names)
    spread = jax.shard_map(each, mesh=group.mesh, in_specs=(own, *[PartitionSpec()] * len(operands)), out_specs=own)
    return spread(group, *operands)


def group_orbitals(
    shells: tuple[Shells, ...], atom_coords: Float[Array, "atom 3"], group: BlockGroup
) -> Float[Array, "block row 4 grid"]:
    """φ and ∇φ of all blocks of a group."""

    def evaluated(block, shells, atom_coords):
        return block_orbitals(shells, atom_coords, block, True)

    return over_blocks(evaluated, group, shells, atom_coords)


def block_orbitals(
    shells: tuple[Shells, ...], atom_coords: Float[Array, "atom 3"], block: BlockGroup, gradient: bool
) -> Float[Array, "row component grid"]:
    """φ (and ∇φ) of one block, from memory where they were kept."""
    if block.orbitals is not None:
        return block.orbitals if gradient else block.orbitals[:, :1]
    parts = [
        gto.evaluate_shells(s.take(active), l, atom_coords, block.coords, gradient)
        for l, (s, active) in enumerate(zip(shells, block.active, strict=True))
    ]
    # Each part ends in zero rows for its empty shells, and the next one is written over them.
    places = block.index.shape[0]
    space = max(places, sum(part.shape[0] for part in parts))
    rows = jnp.zeros((space, *parts[0].shape[1:]), parts[0].dtype)
    for part, start in zip(parts, block.starts, strict=True):
        rows = jax.lax.dynamic_update_slice_in_dim(rows, part, start, axis=0)
    return rows[:places].astype(jnp.float32) if block.precision == "single" else rows[:places]
