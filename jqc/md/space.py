"""Where atoms are: free space (no cell), or a cell that repeats itself.

A cell is its three edges (3,), along x, y and z, or a matrix (3, 3) whose rows are its edges. Displacements go to the
nearest image: the only one within half of the narrowest width between opposite faces.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.typing import Array, Float

Cell: TypeAlias = Float[Array, "3"] | Float[Array, "3 3"] | None
"""Edges of a right-angled box, rows of any other, or free space."""


def fractional(positions: Float[Array, "*batch 3"], cell: Float[Array, "*edges 3"]) -> Float[Array, "*batch 3"]:
    """Positions in units of the cell's edges."""
    return positions / cell if cell.ndim == 1 else positions @ jnp.linalg.inv(cell)


def cartesian(fractions: Float[Array, "*batch 3"], cell: Float[Array, "*edges 3"]) -> Float[Array, "*batch 3"]:
    """Positions from what `fractional` makes of them."""
    return fractions * cell if cell.ndim == 1 else fractions @ cell


def nearest(apart: Float[Array, "*batch 3"], cell: Cell) -> Float[Array, "*batch 3"]:
    """Shortest of all displacements between images; its slope is that of the displacement given."""
    if cell is None:
        return apart
    return apart - cartesian(jax.lax.stop_gradient(jnp.round(fractional(apart, cell))), cell)


def wrapped(positions: Float[Array, "*batch 3"], cell: Cell) -> Float[Array, "*batch 3"]:
    """Images inside of the cell."""
    return positions if cell is None else positions - cartesian(jnp.floor(fractional(positions, cell)), cell)


def scaled(cell: Cell, factor: Float[Array, ""] | float) -> Cell:
    """A cell with all its edges longer by a factor."""
    return None if cell is None else factor * cell


def volume(cell: Cell) -> Float[Array, ""]:
    """Volume of a cell.

    Raises:
        InputError: free space.
    """
    if cell is None:
        raise InputError("free space has no volume; give a cell.")
    return jnp.prod(cell) if cell.ndim == 1 else jnp.abs(jnp.linalg.det(cell))


def widths(cell: Float[np.ndarray, "*edges 3"]) -> Float[np.ndarray, "3"]:
    """Distances between opposite faces."""
    cell = np.asarray(cell)
    return cell if cell.ndim == 1 else 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)


def require_room(cell: Cell, cutoff: float) -> None:
    """Refuse a cell in which an atom may meet two images of another within the cutoff.

    Raises:
        InputError: the cell is narrower than twice the cutoff.
    """
    if cell is None:
        return
    narrowest = float(widths(np.asarray(cell)).min())
    if narrowest < 2 * cutoff:
        raise InputError(
            f"the box is {narrowest:.4g} wide, less than twice the cutoff of {cutoff:.4g}; take a larger box or a "
            "shorter cutoff."
        )
