"""Energies that are sums over pairs of atoms, and their forces without a scatter.

Every atom sums over its own neighbours, so that each pair is met twice: cheaper than adding each pair's force to two
atoms, which no hardware does well, and the same on every device.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from jqc.md.neighbours import Neighbours
from jqc.md.potential import Evaluated
from jqc.md.space import Cell, nearest
from jqc.typing import Array, Bool, Float

PairEnergy = Callable[[Float[Array, "*pair"]], Float[Array, "*pair"]]
"""Energy of pairs from their squared distances."""


def separations(
    positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None
) -> tuple[Float[Array, "atom neighbour 3"], Bool[Array, "atom neighbour"]]:
    """Displacements from atoms to their neighbours, and which are real; without a list all others are neighbours."""
    n = len(positions)
    if neighbours is None:
        others = (jnp.arange(n)[:, None] + jnp.arange(1, n)) % n
        return nearest(positions[others] - positions[:, None], cell), jnp.ones(others.shape, bool)
    index = neighbours.index
    return nearest(positions[jnp.minimum(index, n - 1)] - positions[:, None], cell), index < n


def pair_sum(
    pair: PairEnergy, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None, cutoff: float | None
) -> Evaluated:
    """Energy, forces and virial of all pairs; pairs beyond the cutoff have neither energy nor slope."""
    apart, near = separations(positions, cell, neighbours)
    squared = jnp.sum(apart**2, axis=-1)
    if cutoff is not None:
        near = near & (squared < cutoff**2)
    squared = jnp.where(near, squared, 1.0)  # of pairs that are not, a distance at which nothing is infinite
    energy, slope = jax.jvp(pair, (squared,), (jnp.ones_like(squared),))
    energy, slope = jnp.where(near, energy, 0.0), jnp.where(near, slope, 0.0)
    forces = 2 * jnp.sum(slope[..., None] * apart, axis=1)
    return Evaluated(0.5 * energy.sum(), forces, None if cell is None else -jnp.sum(slope * squared))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LennardJones:
    """4ε((σ/r)¹² − (σ/r)⁶), switched off between `onset` and `cutoff` with two continuous derivatives.

    The switch is 1 − 10x³ + 15x⁴ − 6x⁵, x = (r − onset)/(cutoff − onset), that of OpenMM. Without a cutoff all pairs
    meet.
    """

    epsilon: Float[Array, ""] | float
    sigma: Float[Array, ""] | float
    cutoff: float | None = field(default=None, metadata={"static": True})
    onset: float | None = field(default=None, metadata={"static": True})

    def pair(self, squared: Float[Array, "*pair"]) -> Float[Array, "*pair"]:
        """Energy of pairs from their squared distances."""
        sixth = (self.sigma**2 / squared) ** 3
        energy = 4 * self.epsilon * (sixth**2 - sixth)
        if self.cutoff is None:
            return energy
        return energy * switched_off(squared, 0.9 * self.cutoff if self.onset is None else self.onset, self.cutoff)

    def energy(self, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None) -> Float[Array, ""]:
        """Energy of all pairs."""
        return self.evaluate(positions, cell, neighbours).energy

    def evaluate(self, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None) -> Evaluated:
        """Energy, forces and virial."""
        return pair_sum(self.pair, positions, cell, neighbours, self.cutoff)


def switched_off(squared: Float[Array, "*pair"], onset: float, cutoff: float) -> Float[Array, "*pair"]:
    """One up to the onset and zero from the cutoff on, by squared distance."""
    x = jnp.clip((jnp.sqrt(squared) - onset) / (cutoff - onset), 0.0, 1.0)
    return 1 - x**3 * (10 - 15 * x + 6 * x**2)
