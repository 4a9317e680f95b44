"""Who is near to whom: for each atom the others within a cutoff and a skin, in arrays of a fixed length.

The list is made anew once an atom has moved by half of the skin, inside of compiled programs too. Where it has no room
for all neighbours it says so, and a longer one is allocated on the host.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md.space import Cell, cartesian, fractional, nearest, require_room, widths
from jqc.typing import Array, Bool, Float, Int

SPARE = 1.25
"""Room for so many times the neighbours that are there when the list is allocated."""

ROWS = 512
"""Atoms whose candidates are looked at together."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neighbours:
    """Indices of each atom's neighbours, the number of atoms where there is none.

    `crowded` is set once and for all when a list or a cell of the search was too short, `late` when an atom has outrun
    a list that was not made anew in time. Atoms were at `reference` when the list was made, in a `cell` that may have
    changed since; `reach` is cutoff and skin. The search sorts atoms into `grid` cells of `most` atoms, or compares all
    with all where there is no grid.
    """

    index: Int[Array, "atom neighbour"]
    reference: Float[Array, "atom 3"]
    cell: Cell
    crowded: Bool[Array, ""]
    late: Bool[Array, ""]
    cutoff: float = field(metadata={"static": True})
    skin: float = field(metadata={"static": True})
    grid: tuple[int, int, int] | None = field(metadata={"static": True})
    most: int = field(metadata={"static": True})

    @property
    def reach(self) -> float:
        """Distance within which neighbours are listed."""
        return self.cutoff + self.skin


def allocate(
    positions: Float[Array, "atom 3"], cell: Cell, cutoff: float, skin: float, room: float = SPARE
) -> Neighbours:
    """A list with room for `room` times the neighbours that are there now.

    Raises:
        InputError: no cutoff, a negative skin, or a cell too narrow for them.
    """
    if not (np.isfinite(cutoff) and cutoff > 0 and np.isfinite(skin) and skin >= 0):
        raise InputError(f"a cutoff of {cutoff} and a skin of {skin} make no list; give a positive and one of zero up.")
    require_room(cell, cutoff + skin)
    grid = _grid(np.asarray(positions), cell, cutoff + skin)
    most = 1
    if grid is not None:
        numbers = _numbers(_places(positions, cell, grid, cutoff + skin), grid)
        most = _spared(int(_most(numbers, prod(grid))), room)
    length = 1
    while True:
        index = jnp.zeros((len(positions), min(length, max(1, len(positions) - 1))), jnp.int32)
        no = jnp.zeros((), bool)
        empty = Neighbours(index, positions, cell, no, no, cutoff, skin, grid, most)
        found, needed = _listed(empty, positions, cell)
        if not bool(found.crowded) and length >= min(_spared(int(needed), room), max(1, len(positions) - 1)):
            return found
        length = _spared(int(needed), room)


def with_more_room(neighbours: Neighbours, positions: Float[Array, "atom 3"], cell: Cell) -> Neighbours:
    """A longer list for positions that come before those for which one was too short."""
    longer = allocate(positions, cell, neighbours.cutoff, neighbours.skin)
    length = min(max(longer.index.shape[1], _spared(neighbours.index.shape[1], SPARE)), max(1, len(positions) - 1))
    most = longer.most if longer.grid is None else max(longer.most, _spared(neighbours.most, SPARE))
    index = jnp.zeros((len(positions), length), jnp.int32)
    return _listed(replace(longer, index=index, most=most), positions, cell)[0]


def _spared(number: int, room: float) -> int:
    return ceil(max(1, number) * room)


@jax.custom_batching.custom_vmap
def updated(neighbours: Neighbours, positions: Float[Array, "atom 3"], cell: Cell) -> Neighbours:
    """The list for new positions, the old one while no atom has outrun it."""
    anew = lambda: listed_anew(neighbours, positions, cell)  # noqa: E731
    return jax.lax.cond(outrun(neighbours, positions, cell), anew, lambda: neighbours)


@updated.def_vmap
def _updated_side_by_side(number: int, batched, *arguments) -> tuple[Neighbours, Any]:
    """Searches in those steps alone in which some list needs it: under `vmap` a condition takes both ways always."""
    spread = lambda leaf, is_batched: leaf if is_batched else jnp.broadcast_to(leaf, (number, *leaf.shape))  # noqa: E731
    neighbours, positions, cell = jax.tree.map(spread, arguments, tuple(batched))
    late = jax.vmap(outrun)(neighbours, positions, cell)

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(late.reshape(number, *[1] * (new.ndim - 1)), new, old)

    anew = lambda: jax.tree.map(chosen, jax.vmap(listed_anew)(neighbours, positions, cell), neighbours)  # noqa: E731
    found = jax.lax.cond(late.any(), anew, lambda: neighbours)
    return found, jax.tree.map(lambda _: True, found)


def listed_anew(neighbours: Neighbours, positions: Float[Array, "atom 3"], cell: Cell) -> Neighbours:
    """The list for new positions."""
    return _listed(neighbours, *jax.lax.stop_gradient((positions, cell)))[0]


def outrun(neighbours: Neighbours, positions: Float[Array, "atom 3"], cell: Cell) -> Bool[Array, ""]:
    """Whether an atom has moved by more than half of the skin, less what the cell has shrunk."""
    positions, cell = jax.lax.stop_gradient((positions, cell))
    reference, room = neighbours.reference, 0.5 * neighbours.skin
    if cell is not None and neighbours.cell is not None:
        reference = cartesian(fractional(reference, neighbours.cell), cell)
        room = room - 0.5 * neighbours.reach * _shrunk(neighbours.cell, cell)
    apart = nearest(positions - reference, cell)
    return jnp.max(jnp.sum(apart**2, axis=-1)) > jnp.maximum(room, 0.0) ** 2


def _shrunk(before: Array, now: Array) -> Float[Array, ""]:
    """Upper bound on how much shorter a distance has become, relative to it."""
    ratio = now / before if now.ndim == 1 else jnp.linalg.svd(jnp.linalg.solve(before, now), compute_uv=False)
    return jnp.maximum(0.0, 1.0 - jnp.min(ratio))


def _grid(positions: np.ndarray, cell: Cell, reach: float) -> tuple[int, int, int] | None:
    """Cells along each edge, none narrower than the reach; no grid where it would have fewer than three."""
    extent = np.ptp(positions, axis=0) if cell is None else widths(np.asarray(cell))
    if not np.isfinite(extent).all():
        raise InputError("a position is not finite; give numbers for all of them.")
    number = np.maximum(1, extent // reach).astype(int)
    if cell is not None and number.min() < 3:
        return None
    number = np.minimum(np.maximum(number, 3), max(3, ceil(len(positions) ** (1 / 3))))
    return None if number.prod() <= 27 else (int(number[0]), int(number[1]), int(number[2]))


def _places(positions: Array, cell: Cell, grid: tuple[int, int, int], reach: float) -> Int[Array, "atom 3"]:
    """Cell of the search for each atom; in free space cells repeat themselves, which distances then sort out."""
    if cell is None:
        return jnp.floor(positions / reach).astype(jnp.int32) % jnp.asarray(grid)
    inside = fractional(positions, cell)
    return jnp.floor((inside - jnp.floor(inside)) * jnp.asarray(grid)).astype(jnp.int32) % jnp.asarray(grid)


def _numbers(places: Int[Array, "*batch 3"], grid: tuple[int, int, int]) -> Int[Array, "*batch"]:
    return (places[..., 0] * grid[1] + places[..., 1]) * grid[2] + places[..., 2]


def _most(numbers: Int[Array, "atom"], n_cells: int) -> Int[Array, ""]:
    """Atoms in the fullest cell of the search."""
    return jnp.bincount(numbers, length=n_cells).max()


def _members(numbers: Int[Array, "atom"], n_cells: int, most: int) -> Int[Array, "cell member"]:
    """Atoms of each cell of the search, filled up with the number of atoms."""
    order = jnp.argsort(numbers)
    sorted_numbers = numbers[order]
    rank = jnp.arange(numbers.size) - jnp.searchsorted(sorted_numbers, sorted_numbers, side="left")
    empty = jnp.full((n_cells, most), numbers.size, jnp.int32)
    return empty.at[sorted_numbers, rank].set(order.astype(jnp.int32), mode="drop")


def _candidates(old: Neighbours, positions: Array, cell: Cell) -> tuple[Callable[[Array], Array], Bool[Array, ""]]:
    """Who may be near to the atoms of some rows, and whether a cell of the search is too short for its atoms."""
    n = len(positions)
    grid = old.grid
    if grid is None:
        return lambda rows: jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32), (rows.size, n)), jnp.zeros((), bool)
    places = _places(positions, cell, grid, old.reach)
    numbers = _numbers(places, grid)
    around = jnp.stack(jnp.meshgrid(*[jnp.arange(-1, 2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    members = _members(numbers, prod(grid), old.most)
    crowded = _most(numbers, prod(grid)) > old.most

    def of_rows(rows: Array) -> Array:
        cells = _numbers((places[rows][:, None] + around) % jnp.asarray(grid), grid)
        return members[cells].reshape(rows.size, -1)

    return of_rows, crowded


@jax.jit
def _listed(old: Neighbours, positions: Float[Array, "atom 3"], cell: Cell) -> tuple[Neighbours, Int[Array, ""]]:
    """The list of these positions, and the largest number of neighbours that an atom has."""
    n, length = old.index.shape
    candidates, crowded = _candidates(old, positions, cell)

    def of_rows(rows: Int[Array, "row"]) -> tuple[Int[Array, "row neighbour"], Int[Array, "row"]]:
        others = candidates(rows)
        apart = nearest(positions[jnp.minimum(others, n - 1)] - positions[rows][:, None], cell)
        near = (jnp.sum(apart**2, axis=-1) < old.reach**2) & (others != rows[:, None]) & (others < n)
        place = jnp.where(near, jnp.cumsum(near, axis=1) - 1, length)
        empty = jnp.full((rows.size, length), n, jnp.int32)
        return empty.at[jnp.arange(rows.size)[:, None], place].set(others, mode="drop"), near.sum(axis=1)

    size = min(n, ROWS)
    rows = jnp.minimum(jnp.arange(-(-n // size) * size), n - 1).reshape(-1, size)
    index, counts = jax.lax.map(of_rows, rows)
    needed = counts.max()
    crowded = old.crowded | crowded | (needed > length)
    return replace(old, index=index.reshape(-1, length)[:n], reference=positions, cell=cell, crowded=crowded), needed
