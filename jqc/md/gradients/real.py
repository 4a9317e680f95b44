"""Trees with real leaves and others: only the former can be differentiated, lists, keys and counters cannot."""

from typing import Any

import jax
import jax.numpy as jnp

from jqc.typing import Array


def is_real(leaf: Any) -> bool:
    """Whether a leaf is a real number or an array of them."""
    return jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)


def real_leaves(tree: Any) -> list[Array]:
    """The leaves that can be differentiated, as arrays."""
    return [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree) if is_real(leaf)]


def with_real(tree: Any, leaves: list[Array]) -> Any:
    """The tree with others in place of its real leaves."""
    given = iter(leaves)
    return jax.tree.map(lambda leaf: next(given) if is_real(leaf) else leaf, tree)
