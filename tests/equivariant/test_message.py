"""Interactions between nodes: symmetries, masks and dtype."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.equivariant.basis import basis
from jqc.equivariant.message import Interaction, Linear

CUTOFF = 9.0
ATOMS, FEATURES = 5, 6

ROUNDING = 1e-12
"""Relative to features of size one."""


def nodes(dtype=float):
    """Features (atom, 1, 4, feature) and positions."""
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(ATOMS, 1, 4, FEATURES)), dtype), jnp.asarray(
        rng.normal(size=(ATOMS, 3)) * 2, dtype
    )


EVERYONE = ~np.eye(ATOMS, dtype=bool)


@cache
def parameters():
    x, coords = nodes(jnp.float32)
    start = Interaction().init(jax.random.key(0), x, between(coords), EVERYONE)
    return jax.tree.map(lambda leaf: leaf + 0.1, start)


def between(coords):
    return basis(coords[None] - coords[:, None], CUTOFF, 4, 1)


def interact(x, coords, neighbours=EVERYONE):
    cast = jax.tree.map(lambda leaf: leaf.astype(x.dtype), parameters())
    return Interaction().apply(cast, x, between(coords), jnp.asarray(neighbours))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_dtype_of_what_is_given(dtype):
    assert interact(*nodes(dtype)).dtype == dtype


@pytest.mark.parametrize("sign", [1, -1])
def test_turns_with_the_nodes(sign):
    x, coords = nodes()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= sign * np.sign(np.linalg.det(turn))
    whole = np.eye(4)
    whole[1:, 1:] = turn
    turned = interact(jnp.einsum("ij,apjf->apif", whole, x), coords @ turn.T)
    np.testing.assert_allclose(turned, jnp.einsum("ij,apjf->apif", whole, interact(x, coords)), atol=ROUNDING)


def test_order_of_nodes():
    x, coords = nodes()
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(interact(x[order], coords[order]), interact(x, coords)[order], atol=ROUNDING)


def test_only_neighbours_are_heard():
    """A node that is no neighbour may carry anything; one that is, is heard, in scalars and in vectors."""
    x, coords = nodes()
    mask = EVERYONE.copy()
    mask[:, 4] = False
    louder = x.at[4].multiply(7.0)
    np.testing.assert_array_equal(interact(louder, coords, mask)[:4], interact(x, coords, mask)[:4])
    heard = jnp.abs(interact(louder, coords) - interact(x, coords))[:4, 0]
    assert heard[:, 0].max() > 1e-2
    assert heard[:, 1:].max() > 1e-2


def test_a_linear_map_adds_to_scalars_only():
    x, _ = nodes(jnp.float32)
    start = Linear(3).init(jax.random.key(0), x)
    noisy = jax.tree.map(lambda leaf: leaf + 1, start)
    nothing = Linear(3).apply(noisy, 0 * x)
    assert (nothing[:, 0, 0] == 1).all()
    assert not nothing[:, 0, 1:].any()
