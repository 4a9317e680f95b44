"""Functions whose value has a shortcut, and packed symmetric matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jqc.numerics import pack, unpack, with_shortcut

ROUNDING = 1e-13


def cubic(x, y):
    return x**3 * y


def hinted(hint, x, y):
    """Off by the hint, so that it shows where a value comes from."""
    return hint + x**3 * y


shortened = with_shortcut(cubic, hinted)
X, Y, HINT = jnp.array([0.5, -1.2, 2.0]), jnp.array([1.0, 3.0, -0.7]), jnp.array([100.0, 200.0, 300.0])


def total(x, y=Y, hint=HINT):
    return jnp.sum(shortened(hint, x, y))


def plain(x, y=Y):
    return jnp.sum(cubic(x, y))


def test_value_comes_from_the_shortcut():
    np.testing.assert_allclose(shortened(HINT, X, Y), cubic(X, Y) + HINT, rtol=ROUNDING)


def test_without_a_hint_the_function_is_computed():
    np.testing.assert_array_equal(shortened(None, X, Y), cubic(X, Y))
    np.testing.assert_allclose(jax.grad(lambda x: total(x, hint=None))(X), jax.grad(plain)(X), rtol=ROUNDING)


@pytest.mark.parametrize("moving", ["x", "y", "both"])
def test_forward_derivative(moving):
    tangents = (X * (moving != "y") + 0.0, Y * (moving != "x") + 0.0)
    value, slope = jax.jvp(lambda x, y: shortened(HINT, x, y), (X, Y), tangents)
    np.testing.assert_allclose(value, cubic(X, Y) + HINT, rtol=ROUNDING)
    np.testing.assert_allclose(slope, jax.jvp(cubic, (X, Y), tangents)[1], rtol=ROUNDING)


@pytest.mark.parametrize("argument", [0, 1])
def test_reverse_derivative(argument):
    np.testing.assert_allclose(jax.grad(total, argument)(X, Y), jax.grad(plain, argument)(X, Y), rtol=ROUNDING)


def test_value_and_gradient_together():
    value, slope = jax.value_and_grad(total)(X)
    assert float(value) == pytest.approx(float(plain(X) + HINT.sum()))
    np.testing.assert_allclose(slope, jax.grad(plain)(X), rtol=ROUNDING)


@pytest.mark.parametrize(
    "order", [jax.hessian, lambda f: jax.jacrev(jax.jacrev(f)), lambda f: jax.jacfwd(jax.jacfwd(f))]
)
def test_second_derivative(order):
    np.testing.assert_allclose(order(total)(X), jax.hessian(plain)(X), rtol=ROUNDING)


def test_third_derivative():
    along = lambda f: lambda x: jax.jvp(f, (x,), (Y,))[1]  # noqa: E731
    third = along(along(along(total)))(X)
    assert float(third) == pytest.approx(float(along(along(along(plain)))(X)))


def test_hint_has_no_derivative():
    assert not np.any(jax.grad(total, 2)(X, Y, HINT))


def test_hint_made_of_a_differentiated_argument():
    """The hint is redundant: what it depends on adds nothing to the derivative."""
    slope = jax.grad(lambda x: jnp.sum(shortened(10 * x, x, Y)))(X)
    np.testing.assert_allclose(slope, jax.grad(plain)(X), rtol=ROUNDING)


def test_batched_and_compiled():
    xs = jnp.stack([X, 2 * X])
    expected = jax.vmap(lambda x: cubic(x, Y) + HINT)(xs)
    np.testing.assert_allclose(jax.jit(jax.vmap(lambda x: shortened(HINT, x, Y)))(xs), expected, rtol=ROUNDING)
    np.testing.assert_allclose(jax.vmap(jax.grad(total))(xs), jax.vmap(jax.grad(plain))(xs), rtol=ROUNDING)


def test_arguments_may_be_trees():
    tree = with_shortcut(lambda a: a["x"] * a["n"], lambda hint, a: hint * a["n"])
    arguments = {"x": X, "n": jnp.array(2)}
    slope = jax.grad(lambda x: jnp.sum(tree(X, arguments | {"x": x})))(X)
    np.testing.assert_array_equal(slope, jnp.full(3, 2.0))


# --- packed matrices ---

SIZES = st.sampled_from([1, 2, 5])
SEEDS = st.integers(0, 2**32 - 1)


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@given(SIZES, SEEDS)
@settings(max_examples=20, deadline=None)
def test_packed_product_is_the_full_product(n, seed):
    """For any matrix D and symmetric B: packed B times pack(D) is tr(B D)."""
    d, b = random(seed, n, n), random(seed + 1, n, n)
    b = b + b.T
    packed = b[np.tril_indices(n)]
    assert float(packed @ pack(jnp.asarray(d))) == pytest.approx(np.sum(b * d), abs=1e-12)


@given(SIZES, SEEDS)
@settings(max_examples=20, deadline=None)
def test_unpack_restores_a_symmetric_matrix(n, seed):
    b = random(seed, 2, n, n)
    b = b + b.swapaxes(-1, -2)
    packed = b[(slice(None), *np.tril_indices(n))]
    np.testing.assert_array_equal(unpack(jnp.asarray(packed), n), b)


def test_unpack_is_the_transpose_of_pack():
    d, packed = random(0, 5, 5), random(1, 15)
    left = np.sum(packed * np.asarray(pack(jnp.asarray(d))))
    right = np.sum(np.asarray(unpack(jnp.asarray(packed), 5)) * d)
    assert left == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_packing_keeps_the_type(dtype):
    assert pack(jnp.eye(3, dtype=dtype)).dtype == dtype
    assert unpack(jnp.ones(6, dtype), 3).dtype == dtype
