"""The quadrature in blocks: points, weights, and for each block the shells that reach it.

Blocks with similar numbers of reaching shells form a group, so that each group is one set of dense arrays with
little padding, and one scan in the compiled program.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jqc.system import gto
from jqc.system.basis import shell_reach
from jqc.system.grid import Grid
from jqc.system.gto import Shells
from jqc.system.padding import pad_axis, size_class
from jqc.typing import Array, Float, Int

CUTOFF = 1e-8
"""Orbital values and gradients below this are left out of a block; moves energies by some 1e-11 hartree."""

CEILINGS = (0.35, 0.45, 0.55, 0.65, 0.75, 0.87, 1.0)
"""Groups hold blocks that are reached by at most these fractions of all orbitals."""

SMALLEST_GROUP = 0.1
"""Least share of all blocks that makes a group."""

STEPS = 32
"""Groups make room for orbitals and shells in steps of this fraction of all, so that few shapes occur."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BlockGroup:
    """Blocks that are computed alike; every array leads with the block axis, so a scan hands out single blocks.

    `active` lists, per angular momentum, the shells that reach a block (the rest of the list points at an empty
    shell), `starts` the row at which each angular momentum begins, `index` the orbital behind each row (beyond the
    last orbital for padding). `orbitals` holds φ and ∇φ of these rows where memory allows, else they are evaluated
    when needed.
    """

    coords: Float[Array, "block grid 3"]
    weights: Float[Array, "block grid"]
    active: tuple[Int[Array, "block shell"], ...]
    starts: Int[Array, "block momentum"]
    index: Int[Array, "block row"]
    orbitals: Float[Array, "block 4 row grid"] | None


def reaching(grid_blocks: np.ndarray, shells: tuple[Shells, ...], atom_coords: np.ndarray) -> list[np.ndarray]:
    """Which shells of each angular momentum reach each block, (block, shell) of bool, by nearest distance."""
    distance = np.stack([np.sqrt(((grid_blocks - center) ** 2).sum(-1).min(axis=1)) for center in atom_coords], axis=1)
    return [distance[:, s.atom] < shell_reach(s, l, CUTOFF) for l, s in enumerate(shells)]


def make_groups(grid: Grid, shells: tuple[Shells, ...], atom_coords: np.ndarray) -> tuple[BlockGroup, ...]:
    """Cut a grid into blocks, screen the shells, and gather blocks with similar orbital counts."""
    blocks = -(-len(grid.weights) // grid.block)
    missing = blocks * grid.block - len(grid.weights)
    # Padding points repeat the last point at weight zero: they reach no shell that it does not.
    coords = np.pad(grid.coords, ((0, missing), (0, 0)), mode="edge").reshape(blocks, grid.block, 3)
    weights = pad_axis(grid.weights, blocks * grid.block).reshape(blocks, grid.block)
    reach = reaching(coords, shells, atom_coords)
    counts = np.sum([(2 * l + 1) * mask.sum(1) for l, mask in enumerate(reach)], axis=0)
    fractions = counts / _orbital_count(shells)
    return tuple(_gather(members, coords, weights, reach, shells) for members in _similar(fractions))


def _similar(fraction: np.ndarray) -> list[np.ndarray]:
    """Blocks below each ceiling; a group too small to be worth a program of its own joins the next wider one."""
    groups, waiting = [], np.zeros(0, dtype=int)
    for low, high in zip((-1.0, *CEILINGS[:-1]), CEILINGS, strict=True):
        waiting = np.concatenate([waiting, np.flatnonzero((fraction > low) & (fraction <= high))])
        if waiting.size >= SMALLEST_GROUP * fraction.size:
            groups.append(waiting)
            waiting = waiting[:0]
    if waiting.size:
        rest = [groups.pop()] if groups else []
        groups.append(np.concatenate([*rest, waiting]))
    return groups


def _gather(members, coords, weights, reach, shells) -> BlockGroup:
    """Arrays of one group, padded to a size class with empty blocks."""
    length = size_class(members.size)
    masks = [pad_axis(mask[members], length) for mask in reach]
    rows = np.cumsum([(2 * l + 1) * mask.sum(1) for l, mask in enumerate(masks)], axis=0)
    starts = np.concatenate([np.zeros((1, length), int), rows[:-1]]).T
    return BlockGroup(
        pad_axis(coords[members], length),  # pyright: ignore[reportArgumentType]
        pad_axis(weights[members], length),  # pyright: ignore[reportArgumentType]
        tuple(_active(mask, s) for mask, s in zip(masks, shells, strict=True)),  # pyright: ignore[reportArgumentType]
        starts.astype(np.int32),  # pyright: ignore[reportArgumentType]
        _orbitals_behind(masks, shells, _room(int(rows[-1].max()), _orbital_count(shells))),  # pyright: ignore[reportArgumentType]
        None,
    )


def _orbital_count(shells: tuple[Shells, ...]) -> int:
    """Orbitals of all shells but the padding."""
    return sum((2 * l + 1) * int((s.offset < s.offset[-1]).sum()) for l, s in enumerate(shells))


def _room(needed: int, total: int) -> int:
    """Places to make for `needed` of `total` things: the next step, but no more than all."""
    step = max(1, -(-total // STEPS))
    return min(total, -(-needed // step) * step)


def _active(mask: np.ndarray, shells: Shells) -> np.ndarray:
    """Reaching shells of each block, listed first; the other places hold the empty shell."""
    places = _room(int(mask.sum(1).max()), int((shells.offset < shells.offset[-1]).sum()))
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


def block_orbitals(
    shells: tuple[Shells, ...], atom_coords: Float[Array, "atom 3"], block: BlockGroup, gradient: bool
) -> Float[Array, "component active grid"]:
    """φ (and ∇φ) of one block, from memory where they were kept."""
    if block.orbitals is not None:
        return block.orbitals if gradient else block.orbitals[:1]
    parts = [
        gto.evaluate_shells(s.take(active), l, atom_coords, block.coords, gradient)
        for l, (s, active) in enumerate(zip(shells, block.active, strict=True))
    ]
    # Each part ends in zero rows for its empty shells, and the next one is written over them.
    places = block.index.shape[0]
    space = max(places, sum(part.shape[1] for part in parts))
    rows = jnp.zeros((parts[0].shape[0], space, block.coords.shape[0]), parts[0].dtype)
    for part, start in zip(parts, block.starts, strict=True):
        rows = jax.lax.dynamic_update_slice_in_dim(rows, part, start, axis=1)
    return rows[:, :places]


@jax.jit
def evaluate_group(
    shells: tuple[Shells, ...], atom_coords: Float[Array, "atom 3"], group: BlockGroup
) -> Float[Array, "block 4 row grid"]:
    """φ and ∇φ of every block of a group."""
    return jax.lax.map(lambda block: block_orbitals(shells, atom_coords, block, True), group)


def orbital_bytes(group: BlockGroup) -> int:
    """Memory that the orbitals of a group take."""
    return 4 * group.index.shape[1] * group.weights.size * 8
