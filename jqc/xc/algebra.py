"""Algebra of one block of the quadrature: features are sums of products of orbitals on its points."""

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Ingredients


def products(left: Float[Array, "row component grid"], right, ingredients: Ingredients) -> Array:
    """Features of one block and spin, Σ_r left_r right_r; (φ, Dφ) and (ψ, ψ) of occupied orbitals are such pairs."""
    if ingredients == "rho":
        return jnp.sum(left[:, 0] * right[:, 0], axis=0)[None]
    features = jnp.sum(left * right[:, :1], axis=0) * jnp.array([1.0, 2.0, 2.0, 2.0], left.dtype)[:, None]
    if ingredients == "sigma":
        return features
    tau = 0.5 * jnp.sum(left[:, 1:] * right[:, 1:], axis=(0, 1))
    return jnp.concatenate([features, tau[None]])


def times(matrix: Float[Array, "out row"], orbitals: Float[Array, "row component grid"]) -> Array:
    """One product for all components, in the precision of the orbitals, which accelerators would lower further."""
    flat = orbitals.reshape(orbitals.shape[0], -1)
    return jnp.matmul(matrix.astype(flat.dtype), flat, precision="highest").reshape(-1, *orbitals.shape[1:])


def take_rows(matrix: Array, index: Array) -> Array:
    """Rows of a block's orbitals, zero for padding."""
    return jnp.take(matrix, index, axis=0, mode="fill", fill_value=0)


def within(matrix: Float[Array, "ao ao"], index: Array) -> Float[Array, "row row"]:
    """A matrix among the orbitals of a block."""
    return take_rows(take_rows(matrix, index).T, index)


def with_density(rows: Float[Array, "row row"], orbitals: Float[Array, "row component grid"], ingredients: Ingredients):
    """The pair φ, Dφ, whose products are a density's features; without τ values of Dφ are enough."""
    return orbitals, times(rows, orbitals if ingredients == "tau" else orbitals[:, :1])


def on_points(frames: Float[Array, "spin ao mo"], index: Array, orbitals: Float[Array, "row component grid"]) -> list:
    """Orbitals on the points of a block, (mo, component, grid) for each spin."""
    # A product with a transposed left factor runs at half speed on CPUs: the small transpose is made explicit.
    return [times(jax.lax.optimization_barrier(take_rows(c, index).T), orbitals) for c in frames]
