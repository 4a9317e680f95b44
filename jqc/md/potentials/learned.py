"""Energies that a function of parameters makes: Flax modules, and whatever else is written in JAX."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax

from jqc.md.neighbours import Neighbours
from jqc.md.potential import Properties
from jqc.md.space import Cell
from jqc.typing import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Learned:
    """`apply(parameters, positions, cell, neighbours)` as a potential; a Flax module's `module.apply` is one.

    Parameters
    ----------
    apply
        A function of arrays; one that stays the same object compiles once.
    parameters
        Any tree of arrays; trajectories can be differentiated by it.
    cutoff
        Distance beyond which atoms do not meet, where the function wants neighbours.
    also
        Functions of the same arguments for what is recorded, by name, such as `dipole` and `polarizability`.

    >>> import jax.numpy as jnp
    >>> spring = Learned(lambda k, positions, cell, neighbours: 0.5 * k * jnp.sum(positions**2), jnp.asarray(2.0))
    >>> float(spring.energy(jnp.ones((1, 3)), None, None))
    3.0
    """

    apply: Callable[..., Float[Array, ""]] = field(metadata={"static": True})
    parameters: Any
    cutoff: float | None = field(default=None, metadata={"static": True})
    also: tuple[tuple[str, Callable[..., Array]], ...] = field(default=(), metadata={"static": True})

    def energy(self, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None) -> Float[Array, ""]:
        """What the function gives."""
        return self.apply(self.parameters, positions, cell, neighbours)

    def properties(self, positions: Float[Array, "atom 3"], cell: Cell, neighbours: Neighbours | None) -> Properties:
        """What the other functions give."""
        return {name: function(self.parameters, positions, cell, neighbours) for name, function in self.also}
