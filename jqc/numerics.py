"""Numerical helpers that belong to no layer: precision, packed symmetric matrices, functions with a shortcut."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from jqc.errors import PrecisionError
from jqc.typing import Array, Float


def require_double_precision() -> None:
    """Refuse to go on where arrays are made in single precision.

    Raises:
        PrecisionError: jax_enable_x64 is off.
    """
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise PrecisionError(
            'single precision gives no meaningful SCF energy; add jax.config.update("jax_enable_x64", True) '
            "before any array is made."
        )


def with_shortcut(function: Callable[..., Array], shortcut: Callable[..., Array]) -> Callable[..., Array]:
    """`function(*arguments)` computed as `shortcut(hint, *arguments)`; derivatives are `function`'s own.

    The hint is redundant knowledge that makes the value cheap (a factor of a matrix among the arguments); nothing
    is differentiated with respect to it. Without a hint (None) the function itself is computed. Derivatives of all
    orders, forward and reverse, follow, because the rule is the plain derivative of `function`.
    """

    @jax.custom_jvp
    def shortened(hint, *arguments):
        return shortcut(hint, *arguments)

    def rule(primals, tangents):
        hint, *arguments = primals
        leaves, structure = jax.tree.flatten(tuple(arguments))
        slopes = jax.tree.leaves(tuple(tangents[1:]), is_leaf=lambda t: isinstance(t, SymbolicZero))
        moving = [i for i, slope in enumerate(slopes) if not isinstance(slope, SymbolicZero)]

        def along(*values):
            changed = dict(zip(moving, values, strict=True))
            return function(*structure.unflatten([changed.get(i, leaf) for i, leaf in enumerate(leaves)]))

        value = shortened(hint, *arguments)
        if not moving:
            return value, jnp.zeros_like(value)
        return value, jax.jvp(along, tuple(leaves[i] for i in moving), tuple(slopes[i] for i in moving))[1]

    shortened.defjvp(rule, symbolic_zeros=True)
    return lambda hint, *arguments: function(*arguments) if hint is None else shortened(hint, *arguments)


def instantiated(tangent):
    """A tangent that may be a symbolic zero as an array, of JAX's `float0` for whole numbers."""
    if not isinstance(tangent, SymbolicZero):
        return tangent
    shape, dtype = tangent.aval.shape, tangent.aval.dtype  # pyright: ignore[reportAttributeAccessIssue]
    return np.zeros(shape, dtype) if dtype == jax.dtypes.float0 else jnp.zeros(shape, dtype)


def pack(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch pair"]:
    """Lower triangle, rows first, of M + Mᵀ with its diagonal halved: B_pair·pack(D)_pair = Σ_μν B_μν D_μν."""
    n = matrix.shape[-1]
    rows, columns = jnp.tril_indices(n)
    symmetric = matrix + jnp.swapaxes(matrix, -1, -2)
    return symmetric[..., rows, columns] * jnp.where(rows == columns, 0.5, 1.0).astype(matrix.dtype)


def unpack(packed: Float[Array, "*batch pair"], n: int) -> Float[Array, "*batch n n"]:
    """Full symmetric matrix from its lower triangle, rows first."""
    rows, columns = jnp.meshgrid(jnp.arange(n), jnp.arange(n), indexing="ij")
    low, high = jnp.minimum(rows, columns), jnp.maximum(rows, columns)
    return packed[..., high * (high + 1) // 2 + low]
