"""What networks read is smooth to second order where rounding leaves what no density has: τ < τ_W, and σ < 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.xc.features import S2, TAU_UNIFORM
from jqc.xc.neural.features import (
    indicator,
    indicator_feature,
    kinetic_ratio,
    log_one_plus,
    slope_feature,
    slope_squared,
)

NEAR = 1e-9
"""Beside zero, where third derivatives change the second by less than 1e-8."""

RHO = jnp.asarray([1e-4, 1.0, 1e3])[:, None]


@pytest.mark.parametrize("x", [-NEAR, -0.0, 0.0, NEAR])
def test_the_logarithm_is_smooth_at_zero(x):
    first = jax.grad(log_one_plus)
    assert [float(f(x)) for f in (log_one_plus, first, jax.grad(first))] == pytest.approx([x, 1, -1], abs=1e-8)


def test_the_logarithm_has_its_limits():
    x = jnp.asarray([1e-3, 1.0, 1e6])
    np.testing.assert_allclose(log_one_plus(x), np.log1p(x), rtol=1e-15)
    np.testing.assert_allclose(log_one_plus(-x), -np.log1p(x + x * x), rtol=1e-15)


def finite_to_second_order(feature, *arguments) -> bool:
    """Value, gradient and Hessian by all arguments at every point."""
    points = jnp.stack([jnp.ravel(each) for each in jnp.broadcast_arrays(*arguments)], axis=-1)
    function = lambda point: feature(*point)  # noqa: E731
    orders = (function, jax.grad(function), jax.hessian(function))
    return all(bool(jnp.isfinite(jax.vmap(order)(points)).all()) for order in orders)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_slopes_that_rounding_makes_negative(dtype):
    rho = RHO.astype(dtype)
    s2 = jnp.asarray([-1.0, -1e-3, -1e-6, -5e-7, -1e-10, 0.0, 1e-10], dtype)
    assert finite_to_second_order(
        lambda n, sigma: slope_feature(slope_squared(n, sigma)), rho, s2 / S2 * rho ** (8 / 3)
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("s2", [0.0, 0.1, 30.0])
def test_kinetic_energy_below_its_bound(dtype, s2):
    rho = RHO.astype(dtype)
    ratio = jnp.asarray([-1e-3, -0.0, 0.0, 1e-3, (5 / 3) * s2 * (1 - 1e-3)], dtype)  # to τ_unif
    sigma, tau = s2 / S2 * rho ** (8 / 3), ratio * TAU_UNIFORM * rho ** (5 / 3)
    alpha = indicator(rho, sigma, tau)
    assert bool((alpha.min(axis=1) < 0).all())
    assert finite_to_second_order(
        lambda *point: indicator_feature(indicator(*point)), *jnp.broadcast_arrays(rho, sigma, tau)
    )
    assert finite_to_second_order(lambda n, t: log_one_plus(kinetic_ratio(n, t)), *jnp.broadcast_arrays(rho, tau))
