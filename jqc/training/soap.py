"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, for losses whose parameters are badly conditioned.

For a parameter of shape m × n with gradient G,

    L ← β₂ L + (1 − β₂) G Gᵀ,   R ← β₂ R + (1 − β₂) Gᵀ G,   Q_L, Q_R their eigenvectors,
    G' = Q_Lᵀ G Q_R,   M ← β₁ M + (1 − β₁) G,   V ← β₂ V + (1 − β₂) G'²,   step = Q_L [M' / (√V + ε max √V)] Q_Rᵀ

with M and V corrected for their start (Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson & Kakade, arXiv
2409.11321, algorithm 3). Arrays of any rank are treated so, one matrix for each axis: of vectors too, which the paper
leaves to Adam. Eigenvectors follow by a power iteration and a QR decomposition every few steps, its algorithm 4.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jqc.typing import Array, Int

FIRST, SECOND = 0.9, 0.98
"""β₁ and β₂: decays of the averages of gradients, and of their squares and products."""

EPSILON = 1e-6
"""Times the largest root of averaged squares of an array: less than that is the rounding of single precision."""

EVERY = 10
"""Steps between new eigenvectors, but for as many first steps, which all have their own."""

LONGEST = 1024
"""Axes with more elements keep their own basis: a matrix of so many squared would cost more than it gains."""

Axes = list[Array | None]
"""A square matrix for each axis of an array, None for those that are too long."""


class SoapState(NamedTuple):
    """Steps so far, averages of gradients and of rotated squares, and for each array its products and their bases."""

    steps: Int[Array, ""]
    mean: optax.Updates
    square: optax.Updates
    products: list[Axes]
    bases: list[Axes]


def scale_by_soap() -> optax.GradientTransformation:
    """Gradients to steps of unit size; the learning rate and its sign come after it.

    >>> soap = scale_by_soap()
    >>> start = jnp.ones((2, 3))
    >>> step, _ = soap.update(jnp.full((2, 3), 0.5), soap.init(start))
    >>> round(float(jnp.linalg.norm(step)), 5)  # the gradient has one direction
    1.0
    """
    return optax.GradientTransformation(_init, _update)


def _init(params: Any) -> Any:
    zeros = partial(jax.tree.map, jnp.zeros_like)  # anew each time: buffers of a state are given away one by one
    leaves = jax.tree.leaves(params)
    bases = [[jnp.eye(n, dtype=leaf.dtype) if n <= LONGEST else None for n in leaf.shape] for leaf in leaves]
    return SoapState(jnp.zeros((), jnp.int32), zeros(params), zeros(params), zeros(bases), bases)


def _update(updates: Any, state: Any, params: Any = None) -> tuple[Any, SoapState]:
    del params  # of the protocol, and not needed
    leaves, structure = jax.tree.flatten(updates)
    mean = optax.tree.update_moment(updates, state.mean, FIRST, 1)
    products = optax.tree.update_moment(
        [_products(leaf, axes) for leaf, axes in zip(leaves, state.bases, strict=True)], state.products, SECOND, 1
    )
    renew = (state.steps < EVERY) | (state.steps % EVERY == 0)
    bases = jax.lax.cond(renew, _followed, lambda _, bases: bases, products, state.bases)
    rotated = [_turned(leaf, axes) for leaf, axes in zip(leaves, bases, strict=True)]
    square = optax.tree.update_moment(structure.unflatten(rotated), state.square, SECOND, 2)
    n = state.steps + 1
    sizes = jax.tree.leaves(optax.tree.bias_correction(square, SECOND, n))
    means = jax.tree.leaves(optax.tree.bias_correction(mean, FIRST, n))
    scaled = [
        _turned(_scaled(_turned(m, axes), jnp.sqrt(v)), jax.tree.map(jnp.transpose, axes))
        for m, v, axes in zip(means, sizes, bases, strict=True)
    ]
    return structure.unflatten(scaled), SoapState(n, mean, square, products, bases)


def _scaled(mean: Array, size: Array) -> Array:
    """Over its size, where that is more than rounding."""
    return mean / (size + EPSILON * jnp.max(size) + jnp.finfo(size.dtype).tiny)


def _products(gradient: Array, axes: Axes) -> Axes:
    """Σ G G over all axes but one, for each that has a basis."""
    found: Axes = []
    for axis, basis in enumerate(axes):
        rows = jnp.moveaxis(gradient, axis, 0).reshape(gradient.shape[axis], -1)
        found.append(None if basis is None else rows @ rows.T)
    return found


def _followed(products: list[Axes], bases: list[Axes]) -> list[Axes]:
    """Bases closer to the eigenvectors, those of the largest eigenvalues first."""
    return jax.tree.map(lambda product, basis: jnp.linalg.qr(product @ basis)[0], products, bases)


def _turned(array: Array, axes: Axes) -> Array:
    """Each axis in its basis: Qᵀ along it."""
    for axis, basis in enumerate(axes):
        if basis is not None:
            array = jnp.moveaxis(jnp.tensordot(basis, array, axes=(0, axis)), 0, axis)
    return array
