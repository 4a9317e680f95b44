"""Functions around a centre: their dtype, how they turn, and that they end smoothly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.equivariant.basis import basis, envelope, harmonics, radial

CUTOFF = 9.0

ROUNDING = 1e-13
"""Relative."""


def vectors(count: int = 50) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3)) * 3


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_dtype_of_what_is_given(dtype):
    assert basis(jnp.asarray(vectors(), dtype), CUTOFF, 8, 1).dtype == dtype


def test_components_are_cartesian():
    """Scalar first, then x, y, z over the cutoff."""
    r = vectors() / CUTOFF
    np.testing.assert_allclose(harmonics(jnp.asarray(vectors()), CUTOFF, 1)[:, 0], 1)
    np.testing.assert_allclose(harmonics(jnp.asarray(vectors()), CUTOFF, 1)[:, 1:], r, rtol=ROUNDING)


def test_scalars_stay_and_vectors_turn():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    before, after = (np.asarray(basis(jnp.asarray(r), CUTOFF, 5, 1))[:, 0] for r in (vectors(), vectors() @ turn.T))
    np.testing.assert_allclose(after[:, 0], before[:, 0], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(after[:, 1:], np.einsum("xy,nyk->nxk", turn, before[:, 1:]), rtol=0, atol=ROUNDING)


def test_nothing_beyond_the_cutoff():
    far = jnp.asarray([[CUTOFF, 0, 0], [0, 50.0, 0]])
    assert not basis(far, CUTOFF, 8, 1).any()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_end_with_the_envelope(dtype, order):
    function = lambda r2: envelope(r2, CUTOFF)  # noqa: E731
    for _ in range(order):
        function = jax.grad(function)
    values = jax.vmap(function)(jnp.linspace(0, 1.1 * CUTOFF**2, 4001, dtype=dtype))
    assert np.isfinite(values).all()
    assert jnp.abs(jnp.diff(values)).max() < 0.02 * jnp.abs(values).max()
    assert float(jnp.abs(values[-400:]).max()) == 0


def test_smooth_at_the_centre():
    """Derivatives by the position exist where it is the centre, as they do not for a function of |r|."""
    function = lambda r: jnp.sum(basis(r, CUTOFF, 6, 1) ** 2)  # noqa: E731
    assert np.isfinite(jax.hessian(function)(jnp.zeros(3))).all()


def test_widths_are_in_order():
    """Wider ones are larger everywhere; the narrowest has died out within an eighth of the cutoff."""
    values = np.asarray(radial(jnp.linspace(0.1, (CUTOFF / 2) ** 2, 40), CUTOFF, 8))
    assert (np.diff(values, axis=1) > 0).all()
    assert radial(jnp.asarray((CUTOFF / 8) ** 2), CUTOFF, 8)[0] < 1e-6
