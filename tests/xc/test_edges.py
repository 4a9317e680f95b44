"""No functional gives NaN or infinity, up to third derivatives, wherever a density can be."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.xc.base import Density, Quadrature
from jqc.xc.neural.stored import shipped
from jqc.xc.registry import functional, names
from jqc.xc.semilocal import COMPONENTS

CLOSED_FORMS = [name for name in names() if name not in shipped()]
"""Learned functionals are held to the same in tests/xc/neural/test_contract.py."""


def make_points() -> np.ndarray:
    """No density to a core's, closed shell to one spin alone, flat to steep, τ at τ_W and above it."""
    rows = []
    densities = (0, 1e-30, 2e-15, 1e-12, 1e-8, 1e-3, 1, 1e3)
    zetas = (0, 1, -1, 0.9, 1 - 1e-12)
    slopes = (0, 1e-12, 0.08, 1, 50)  # reduced gradients s
    for rho, zeta, s, sign, above in itertools.product(densities, zetas, slopes, (1, -1), (0, 1)):
        if (s == 0 or abs(zeta) == 1) and sign < 0:
            continue
        spin = np.array([rho * (1 + zeta) / 2, rho * (1 - zeta) / 2])
        gradient = s * 2 * (6 * np.pi**2) ** (1 / 3) * spin ** (4 / 3)
        sigma = gradient[0] ** 2, sign * gradient[0] * gradient[1], gradient[1] ** 2
        weizsaecker = [g**2 / (8 * r) if r else 0.0 for g, r in zip(gradient, spin, strict=True)]
        rows.append((*spin, *sigma, *(weizsaecker + above * spin ** (5 / 3))))
    return np.array(rows).T


POINTS = make_points()


def density(points) -> Density:
    return Density(points[:2], points[2:5], points[5:])


def along(function, units):
    direction = jnp.broadcast_to(units[:, :, None], (*units.shape, POINTS.shape[1]))
    return lambda x: jax.jvp(function, (x,), (direction,))


@cache
def derivatives(component: str) -> list[np.ndarray]:
    """Values and all partial derivatives up to the third, not compiled: one shape for all components."""
    function = COMPONENTS[component][0]
    triples = list(itertools.combinations_with_replacement(range(7), 3))
    x = jnp.broadcast_to(POINTS[:, None], (7, len(triples), POINTS.shape[1]))
    tower = lambda x: function(density(x))  # noqa: E731
    for position in range(3):
        tower = along(tower, np.eye(7)[:, [t[position] for t in triples]])
    ((value, by_u), (_, by_uv)), (_, (_, by_uvw)) = tower(x)
    alone = np.array([triples.index((i, i, i)) for i in range(7)])
    return [np.asarray(row) for row in (value[:1], by_u[alone], by_uv, by_uvw)]


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_finite(name):
    for component, weight in functional(name).terms:
        for order, rows in enumerate(derivatives(component)):
            assert np.isfinite(weight * rows).all(), f"{component}, order {order}"


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_vacuum_contributes_nothing(name):
    vacuum = POINTS[:2].sum(axis=0) < 1e-15
    assert vacuum.sum() > 100
    for component, _ in functional(name).terms:
        for rows in derivatives(component):
            assert not rows[:, vacuum].any()


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_spin_symmetric(name):
    xc = functional(name)
    value = xc.energy_density(density(jnp.asarray(POINTS)))
    swapped = xc.energy_density(density(jnp.asarray(POINTS[[1, 0, 4, 3, 2, 6, 5]])))
    scale = sum(abs(w) * np.abs(derivatives(c)[0][0]) for c, w in xc.terms) + 1e-300
    assert np.max(np.abs(value - swapped) / scale) < 1e-11


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_minority_spin_vanishes_smoothly(name):
    """One spin at exactly zero and at the edge of vacuum give one energy."""
    xc = functional(name)
    points = jnp.asarray([0.3, 0.0, 0.1, 0.0, 0.0, 0.2, 0.0])[:, None]
    nearly = points.at[1].set(1e-14).at[6].set(1e-14)
    np.testing.assert_allclose(xc.energy_density(density(points)), xc.energy_density(density(nearly)), rtol=1e-10)


def test_gradient_of_energy_is_the_potential():
    """`energy` integrates, `jax.grad` differentiates it, and weights of zero switch points off."""
    xc = functional("tpss")
    points = density(jnp.asarray(POINTS))
    count = POINTS.shape[1]
    weights = jnp.ones(count).at[::2].set(0)
    quadrature = Quadrature(jnp.zeros((count, 3)), weights, jnp.zeros((1, 3)), jnp.ones(1, int))
    potential = jax.grad(xc.energy)(points, quadrature)
    expected = sum(derivatives(component)[1][:2] for component, _ in xc.terms)
    assert not np.asarray(potential.rho[:, ::2]).any()
    np.testing.assert_allclose(potential.rho[:, 1::2], expected[:, 1::2], rtol=1e-9, atol=1e-9)


def test_single_precision_stays_single():
    """The input's dtype is kept, with finite values, from vacuum to the core."""
    points = jnp.asarray(POINTS, jnp.float32)
    for component, (function, _) in COMPONENTS.items():
        value = function(density(points))
        assert value.dtype == jnp.float32, component
        assert np.isfinite(value).all(), component
