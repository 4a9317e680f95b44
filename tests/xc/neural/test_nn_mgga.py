"""NN-mGGA is never positive and starts as the local-density approximation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.system import build_system
from jqc.xc import Density, Quadrature, functional
from jqc.xc.features import TAU_UNIFORM
from jqc.xc.neural.nn_mgga import smooth_elu

UNTRAINED = 0.06
"""One prefactor for the densities of valence and bonds, where −ε_xc/ρ^{1/3} goes from 0.80 to 0.88."""

COUNT = 400


def alone(density: Density, xc) -> np.ndarray:
    """Energy of every point by itself."""
    grid = Quadrature(jnp.zeros((1, 3)), jnp.ones(1), jnp.zeros((1, 3)), jnp.ones(1, int))
    one = lambda point: xc.energy(jax.tree.map(lambda a: a[:, None], point), grid)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one, in_axes=1))(density))


def anything() -> Density:
    rng = np.random.default_rng(0)
    rho, slope, tau = 10 ** rng.uniform(-20, 4, (3, 2, COUNT))
    return Density(jnp.asarray(rho), jnp.asarray(np.stack([slope[0], 0 * slope[0], slope[1]])), jnp.asarray(tau))


@pytest.mark.parametrize("scale", [0.1, 0.5])
def test_never_positive(randomised, scale):
    energies = alone(anything(), randomised("nn-mgga", scale))
    assert energies.max() <= 0
    assert energies.min() < -1


def test_untrained_is_near_the_local_density_approximation(randomised):
    rs = np.linspace(0.5, 2, 10)
    rho = np.stack([3 / (8 * np.pi * rs**3)] * 2)
    gas = Density(jnp.asarray(rho), jnp.zeros((3, 10)), jnp.asarray(2 ** (2 / 3) * TAU_UNIFORM * rho ** (5 / 3)))
    got = alone(gas, randomised("nn-mgga", 0.0))
    np.testing.assert_allclose(got, alone(gas, functional("slater + pw92")), rtol=UNTRAINED)


def test_smooth_elu():
    """ELU's limits and value at zero, rising everywhere, with a second derivative that does not step."""
    assert float(smooth_elu(jnp.zeros(()))) == pytest.approx(0, abs=1e-15)
    assert float(smooth_elu(jnp.asarray(-40.0))) == pytest.approx(-1)
    x = jnp.linspace(-5, 5, 1001)
    assert (jnp.diff(smooth_elu(x)) > 0).all()
    curvature = jax.vmap(jax.grad(jax.grad(smooth_elu)))(x)
    assert jnp.abs(jnp.diff(curvature)).max() < 0.002


def test_scf(hydroxyl, randomised):
    """Unrestricted, from the usual guess with the usual solver."""
    result = jqc.scf(build_system(hydroxyl, grid_level=0), randomised("nn-mgga")).check()
    assert result.iterations < 25
