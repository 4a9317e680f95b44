"""Variables that describe a change of shape: distances, angles and dihedrals of atoms."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import jax.numpy as jnp

from jqc.md.space import Cell, nearest
from jqc.typing import Array, Float


class Variable(Protocol):
    """A function of positions; `period` is None where it does not repeat itself."""

    @property
    def period(self) -> float | None:
        """After how much it comes back."""
        ...

    def __call__(self, positions: Float[Array, "atom 3"], cell: Cell) -> Float[Array, ""]:
        """Its value."""
        ...


@dataclass(frozen=True)
class Distance:
    """Between two atoms."""

    i: int
    j: int
    period = None

    def __call__(self, positions: Float[Array, "atom 3"], cell: Cell = None) -> Float[Array, ""]:
        """In units of length."""
        return jnp.linalg.norm(nearest(positions[self.j] - positions[self.i], cell))


@dataclass(frozen=True)
class Angle:
    """At atom j, between i and k; its slope is finite for straight ones too."""

    i: int
    j: int
    k: int
    period = None

    def __call__(self, positions: Float[Array, "atom 3"], cell: Cell = None) -> Float[Array, ""]:
        """In radians, 0 to π."""
        a, b = (nearest(positions[end] - positions[self.j], cell) for end in (self.i, self.k))
        squared = jnp.sum(jnp.cross(a, b) ** 2)
        straight = squared == 0.0
        across = jnp.where(straight, 0.0, jnp.sqrt(jnp.where(straight, 1.0, squared)))
        return jnp.arctan2(across, a @ b)


@dataclass(frozen=True)
class Dihedral:
    """About the bond of atoms j and k, from i to l; zero where these eclipse each other."""

    i: int
    j: int
    k: int
    l: int
    period = 2 * jnp.pi

    def __call__(self, positions: Float[Array, "atom 3"], cell: Cell = None) -> Float[Array, ""]:
        """In radians, −π to π."""
        atoms = (self.i, self.j, self.k, self.l)
        a, b, c = (nearest(positions[m] - positions[n], cell) for n, m in pairwise(atoms))
        left, right = jnp.cross(a, b), jnp.cross(b, c)
        return jnp.arctan2(jnp.linalg.norm(b) * (a @ right), left @ right)


def difference(variable: Variable, apart: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """A difference of two values, the shortest way round."""
    return apart if variable.period is None else apart - variable.period * jnp.round(apart / variable.period)
