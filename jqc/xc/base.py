"""What a functional is: the density features it reads, and the protocol that the SCF calls.

A functional is a pytree. Its parameters are leaves (a closed form has none), everything else is static, so that
`jax.grad(energy)(functional, system, dm)` is the training gradient. The SCF knows nothing but `Functional`:
a closed-form PBE and a graph network over the whole grid are the same kind of object.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float, Int

Ingredients = Literal["none", "rho", "sigma", "tau"]
"""What a functional reads, each including those before it; fixes which derivatives of the orbitals are needed."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Density:
    """Spin-resolved density features at points, atomic units.

    Shapes: `rho` (2, ...) as ρ_α, ρ_β; `sigma` (3, ...) as ∇ρ_α·∇ρ_α, ∇ρ_α·∇ρ_β, ∇ρ_β·∇ρ_β;
    `tau` (2, ...) as τ_σ = ½ Σ_i |∇ψ_iσ|². Features that a functional does not read are zeros.
    """

    rho: Float[Array, "2 *grid"]
    sigma: Float[Array, "3 *grid"]
    tau: Float[Array, "2 *grid"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Quadrature:
    """Where a density is known: points, weights and nuclei, in bohr.

    Padded points have weight zero, padded atoms nuclear charge zero.
    """

    coords: Float[Array, "*grid 3"]
    weights: Float[Array, "*grid"]
    atom_coords: Float[Array, "atom 3"]
    numbers: Int[Array, "atom"]


@runtime_checkable
class Functional(Protocol):
    """An exchange-correlation functional as the SCF sees it.

    `ingredients` says which features it reads; `exchange` lists the exact exchange that goes with it as pairs
    (ω, coefficient): ω = 0 is the full 1/r, ω > 0 the long-range erf(ωr)/r, ω < 0 the short-range erfc(|ω|r)/r.
    A `local` functional's energy is a sum over points, so that the SCF may hand them over in pieces; any other one
    sees the whole density at once.
    """

    @property
    def ingredients(self) -> Ingredients: ...  # noqa: D102

    @property
    def exchange(self) -> tuple[tuple[float, float], ...]: ...  # noqa: D102

    @property
    def local(self) -> bool: ...  # noqa: D102

    def energy(self, density: Density, quadrature: Quadrature) -> Float[Array, ""]:
        """Semi-local (or learned, non-local) exchange-correlation energy in hartree."""
        ...


def integrate(energy_density: Float[Array, "*grid"], quadrature: Quadrature) -> Float[Array, ""]:
    """Quadrature of an energy per volume, Σ_g w_g e_g."""
    return jnp.sum(energy_density * quadrature.weights)


def cut(array: Float[Array, "..."], axis: int, longest: int) -> Float[Array, "..."]:
    """Equal pieces of at most `longest` points, padded with zeros, along a new first axis.

    >>> cut(jnp.arange(5.0), 0, 2).tolist()
    [[0.0, 1.0], [2.0, 3.0], [4.0, 0.0]]
    """
    points = array.shape[axis]
    pieces = max(1, -(-points // longest))
    length = -(-points // pieces)
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, pieces * length - points)
    shape = (*array.shape[:axis], pieces, length, *array.shape[axis + 1 :])
    return jnp.moveaxis(jnp.pad(array, widths).reshape(shape), axis, 0)
