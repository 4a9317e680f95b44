"""Bonds of fixed length: positions and momenta after a step are brought back to where the lengths stay what they are.

    |r_i − r_j|² = d²,     (v_i − v_j)·(r_i − r_j) = 0

by forces along the bonds before the step, as in RATTLE (Andersen, J. Comput. Phys. 52, 24 (1983),
doi:10.1016/0021-9991(83)90014-1). All multipliers are found together: those of momenta by conjugate gradients, those of
positions by repeating that with what is left of the lengths. So a step can be differentiated and run backwards.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md.space import Cell, nearest
from jqc.typing import Array, Float, Int

ROUNDS = 12
"""Of positions: what is left of the lengths shrinks by the square of the angle that a bond turns in a step."""

HELD = 1e-10
"""Relative error of squared lengths that may be left."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rigid:
    """Pairs of atoms that keep their distances."""

    pairs: Int[Array, "bond 2"]
    lengths: Float[Array, "bond"]

    @property
    def count(self) -> int:
        """How many velocities they take away."""
        return self.lengths.shape[-1]


def rigid_bonds(pairs: Int[np.ndarray, "bond 2"] | Array, positions: Float[Array, "atom 3"], cell: Cell) -> Rigid:
    """Bonds with the lengths that they have.

    Raises:
        InputError: pairs that are none, that are given twice, or of atoms that are not there.
    """
    given = np.asarray(pairs)
    if given.ndim != 2 or given.shape[1:] != (2,) or not given.size or not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"rigid bonds of shape {given.shape} are none; give pairs of atoms' numbers.")
    ordered = np.sort(given, axis=1)
    wrong = (ordered[:, 0] < 0) | (ordered[:, 1] >= len(positions)) | (ordered[:, 0] == ordered[:, 1])
    if wrong.any():
        raise InputError(f"rigid bond {tuple(given[wrong][0].tolist())} is none among {len(positions)} atoms.")
    if len(np.unique(ordered, axis=0)) < len(ordered):
        raise InputError("a rigid bond is given twice; give each once.")
    found = Rigid(jnp.asarray(ordered), jnp.zeros(len(ordered)))
    return Rigid(found.pairs, jnp.linalg.norm(_bonds(found, positions, cell), axis=-1))


def with_rigid_momenta(
    rigid: Rigid,
    momenta: Float[Array, "atom 3"],
    positions: Float[Array, "atom 3"],
    masses: Float[Array, "atom"],
    cell: Cell,
) -> Float[Array, "atom 3"]:
    """The nearest momenta that change no length; sums and angular momentum stay."""
    along = _bonds(rigid, positions, cell)
    multipliers = _multipliers(rigid, along, masses, _rates(rigid, along, momenta, masses))
    return momenta - _pull(rigid, along, masses, multipliers)


def with_rigid_positions(
    rigid: Rigid,
    moved: Float[Array, "atom 3"],
    before: Float[Array, "atom 3"],
    masses: Float[Array, "atom"],
    cell: Cell,
) -> Float[Array, "atom 3"]:
    """Positions with the right lengths, pushed along the bonds before the step; no numbers where there are none."""
    along, squared = _bonds(rigid, before, cell), rigid.lengths**2

    def left(positions: Array) -> Array:
        return jnp.sum(_bonds(rigid, positions, cell) ** 2, axis=-1) - squared

    def closer(positions: Array, _) -> tuple[Array, None]:
        push = _multipliers(rigid, along, masses, 0.5 * left(positions))
        return positions - _pull(rigid, along, masses, push) / masses[:, None], None

    held = jax.lax.scan(closer, moved, length=ROUNDS)[0]
    return jnp.where(jnp.all(jnp.abs(left(held)) < HELD * squared), held, jnp.nan)


def _bonds(rigid: Rigid, positions: Array, cell: Cell) -> Float[Array, "bond 3"]:
    return nearest(positions[rigid.pairs[:, 0]] - positions[rigid.pairs[:, 1]], cell)


def _rates(rigid: Rigid, along: Array, momenta: Array, masses: Array) -> Float[Array, "bond"]:
    """(v_i − v_j)·(r_i − r_j)."""
    velocities = momenta / masses[:, None]
    return jnp.sum(along * (velocities[rigid.pairs[:, 0]] - velocities[rigid.pairs[:, 1]]), axis=-1)


def _pull(rigid: Rigid, along: Array, masses: Array, multipliers: Array) -> Float[Array, "atom 3"]:
    """Momenta that multipliers of the bonds give to their atoms."""
    each = multipliers[:, None] * along
    none = jnp.zeros((masses.size, 3), each.dtype)
    return none.at[rigid.pairs[:, 0]].add(each).at[rigid.pairs[:, 1]].add(-each)


def _multipliers(rigid: Rigid, along: Array, masses: Array, rates: Array) -> Float[Array, "bond"]:
    """What gives the lengths such rates, by momenta along the bonds."""
    rates_of = lambda multipliers: _rates(rigid, along, _pull(rigid, along, masses, multipliers), masses)  # noqa: E731
    return jax.scipy.sparse.linalg.cg(rates_of, rates, tol=1e-14, maxiter=2 * rigid.count)[0]
