"""Skala-mGGA multiplies exchange of the uniform gas by something between nothing and two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.system import build_system
from jqc.xc import Density, Quadrature
from jqc.xc.lda import slater

ROUNDING = 1e-13
"""Relative; a product is divided by one of its factors."""

COUNT = 400


def anything() -> Density:
    rng = np.random.default_rng(0)
    rho, slope, tau = 10 ** rng.uniform(-10, 4, (3, 2, COUNT))
    return Density(jnp.asarray(rho), jnp.asarray(np.stack([slope[0], 0 * slope[0], slope[1]])), jnp.asarray(tau))


def enhancement(xc) -> np.ndarray:
    """The energy of every point by itself, over that of the uniform gas."""
    grid = Quadrature(jnp.zeros((1, 3)), jnp.ones(1), jnp.zeros((1, 3)), jnp.ones(1, int))
    one = lambda point: xc.energy(jax.tree.map(lambda a: a[:, None], point), grid)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one, in_axes=1))(anything()) / slater(anything()))


def test_untrained_is_exchange_of_the_uniform_gas(randomised):
    np.testing.assert_allclose(enhancement(randomised("skala-mgga", 0.0)), 1, rtol=ROUNDING)


def test_enhancement_is_between_nothing_and_two(randomised):
    """With noise that brings it near both."""
    values = enhancement(randomised("skala-mgga", 0.3))
    assert 0 <= values.min() < 0.2
    assert 1.8 < values.max() <= 2 * (1 + ROUNDING)


def test_floor_is_an_option(randomised):
    """A larger floor tells fewer densities apart."""
    coarse, fine = (enhancement(randomised("skala-mgga", 0.1, floor=floor)) for floor in (1e5, 1e-5))
    assert np.ptp(coarse) < 0.5 * np.ptp(fine)


@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_scf(water, randomised, scale):
    result = jqc.scf(build_system(water, grid_level=0), randomised("skala-mgga", scale)).check()
    assert result.iterations < 25
