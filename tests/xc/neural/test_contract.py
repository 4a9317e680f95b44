"""What every functional owes to the SCF: all architectures, what ships, and PBE as a check of the checks."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.xc import Density, Functional, Quadrature, functional
from jqc.xc.features import TAU_UNIFORM
from jqc.xc.neural.architectures import ARCHITECTURES, create
from jqc.xc.neural.files import load, save
from jqc.xc.neural.stored import shipped

ROUNDING = 1e-11
"""Relative; the same sum in another order, or with spins exchanged."""

FINITE_DIFFERENCE = 1e-7
"""Relative; fourth-order differences over steps of 1e-4 are off by fifth derivatives times 1e-17, and by rounding."""

SINGLE = 3e-5
"""Relative; single precision carries 6e-8, which networks and cancelling features amplify some hundredfold."""

STEP = 1e-4
COUNT = 2400
SHIPPED = [pytest.param(name, marks=[pytest.mark.slow] * name.endswith("eg-xc")) for name in shipped()]
NAMES = [*ARCHITECTURES, "pbe", *SHIPPED]


OPTIONS = {"eg-xc": {"features": 16, "layers": 1}}
"""Smaller than published, in the time of compilation above all."""


@pytest.fixture(params=NAMES)
def xc(request, randomised):
    name = request.param
    return randomised(name, **OPTIONS.get(name, {})) if name in ARCHITECTURES else functional(name)


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name == "eg-xc")) for name in ARCHITECTURES])
def xc_of_parameters(request, randomised):
    return randomised(request.param, **OPTIONS.get(request.param, {}))


def pack(rho, slope, cosine, above) -> np.ndarray:
    """ρ, σ, τ of both spins from reduced gradients s, the angle between slopes, and α: (7, grid)."""
    length = slope * 2 * (6 * np.pi**2) ** (1 / 3) * rho ** (4 / 3)
    sigma = length[0] ** 2, cosine * length[0] * length[1], length[1] ** 2
    weizsaecker = length**2 / (8 * np.where(rho > 0, rho, 1.0))
    return np.concatenate([rho, sigma, weizsaecker + above * TAU_UNIFORM * 2 ** (2 / 3) * rho ** (5 / 3)])


@cache
def edges() -> np.ndarray:
    """No density to a core's, closed shell to one spin alone, flat to steep, one electron (τ = τ_W) and above."""
    densities = (0, 1e-30, 2e-15, 1e-12, 3e-9, 1e-7, 1e-5, 1e-3, 1, 1e4)
    zetas = (0, 1, -1, 0.9, 1 - 1e-6, 1 - 1e-12)
    slopes = (0, 1e-12, 1e-3, 0.08, 1, 50)
    rows = np.array(list(itertools.product(densities, zetas, slopes, (1, -1), (0, 1, 30)))).T
    density, zeta, slope, cosine, above = rows
    points = pack(0.5 * density * np.stack([1 + zeta, 1 - zeta]), slope, cosine, above)
    return np.pad(points, ((0, 0), (0, COUNT - points.shape[1])))


@cache
def ordinary() -> np.ndarray:
    """Where molecules are: ρ from 1e-4 to 10, s from 0.05 to 3, α from 0.1 to 5, any polarisation up to 0.95."""
    rng = np.random.default_rng(5)
    zeta = rng.uniform(-0.95, 0.95, COUNT)
    rho = 10 ** rng.uniform(-4, 1, COUNT) * np.stack([1 + zeta, 1 - zeta]) / 2
    slope, above = 10 ** rng.uniform(-1.3, 0.5, (2, COUNT)), 10 ** rng.uniform(-1, 0.7, (2, COUNT))
    return pack(rho, slope, rng.uniform(-1, 1, COUNT), above)


def density(u) -> Density:
    return Density(u[:2], u[2:5], u[5:])


def quadrature(dtype=float) -> Quadrature:
    """Points around three atoms, the fourth is padding; weights that make some twenty electrons of `ordinary`."""
    rng = np.random.default_rng(6)
    centres = jnp.asarray([[0.0, 0, 0], [0, 0, 2], [2, 1, 0], [0, 0, 0]], dtype)
    coords = centres[rng.integers(0, 3, COUNT)] + jnp.asarray(rng.normal(size=(COUNT, 3)) * 2, dtype)
    weights = jnp.asarray(20 / COUNT / ordinary()[:2].sum(0), dtype)
    return Quadrature(coords, weights, centres, jnp.asarray([8, 1, 1, 0]))


def products(functional, u, v, grid):
    """⟨v, E′⟩ and ⟨v, E″v⟩, and E, E′ and E″v themselves."""

    def energy(u):
        return functional.energy(density(u), grid)

    (value, first), (_, second) = jax.jvp(jax.value_and_grad(energy), (u,), (v,))
    return jnp.stack([jnp.vdot(v, first), jnp.vdot(v, second)]), (value, first, second)


@jax.jit
def derivatives(functional, u, v, grid):
    """E, E′ and E″v."""
    return products(functional, u, v, grid)[1]


@jax.jit
def derivatives_by_parameters(functional, u, v, grid):
    """⟨v, E′⟩ and ⟨v, E″v⟩, and the derivative of either by parameters."""
    both, pull, _ = jax.vjp(lambda functional: products(functional, u, v, grid), functional, has_aux=True)
    return both, [pull(row)[0] for row in jnp.eye(2, dtype=u.dtype)]


def relative(u) -> np.ndarray:
    """A change in proportion to the density, the same for all slopes, so that σ and τ stay what densities can have."""
    factors = np.random.default_rng(8).uniform(0.5, 1.5, u.shape)
    factors[3:5] = factors[2]
    return u * factors


def slope(values) -> jax.Array:
    """d/dx of f at x = 0 from f at ±1 and ±2 steps, to fourth order."""
    outer_below, below, above, outer_above = values
    return (8 * (above - below) - (outer_above - outer_below)) / (12 * STEP)


def test_protocol(xc):
    assert isinstance(xc, Functional)
    assert xc.ingredients == ("tau" if jax.tree.leaves(xc) else "sigma")
    assert xc.exchange == ()
    assert xc.local == (getattr(xc, "name", "") != "EGXC")


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("direction", ["unit", "relative"])
def test_finite_at_every_density(xc, dtype, direction):
    u = jnp.asarray(edges(), dtype)
    v = jnp.ones_like(u) if direction == "unit" else jnp.asarray(relative(edges()), dtype)
    for order, values in enumerate(derivatives(xc, u, v, quadrature(dtype))):
        assert values.dtype == dtype, order
        assert np.isfinite(values).all(), order


def test_vacuum_has_neither_energy_nor_potential(xc):
    u = jnp.asarray(edges() * (edges()[:2].sum(0) < 1e-15))
    energy, potential, _ = derivatives(xc, u, jnp.ones_like(u), quadrature())
    assert abs(float(energy)) < 1e-25
    if xc.local:  # any other one may wait for electrons that come to an empty place
        assert np.abs(potential).max() < 1e-25


def test_spins_are_equal(xc):
    swap = np.array([1, 0, 4, 3, 2, 6, 5])
    u, v = jnp.asarray(ordinary()), jnp.asarray(relative(ordinary()))
    energy, potential, _ = derivatives(xc, u, v, quadrature())
    swapped, potential_swapped, _ = derivatives(xc, u[swap], v[swap], quadrature())
    assert float(swapped) == pytest.approx(float(energy), rel=ROUNDING)
    np.testing.assert_allclose(potential_swapped[swap] * u, potential * u, rtol=0, atol=ROUNDING * abs(float(energy)))


def test_potential_and_kernel_are_slopes(xc):
    u, v = jnp.asarray(ordinary()), jnp.asarray(relative(ordinary()))
    _, potential, kernel = derivatives(xc, u, v, quadrature())
    moved = [derivatives(xc, u + n * STEP * v, v, quadrature()) for n in (-2, -1, 1, 2)]
    expected = float(slope([energy for energy, *_ in moved]))
    assert float(jnp.vdot(potential, v)) == pytest.approx(expected, rel=FINITE_DIFFERENCE)
    error = jnp.linalg.norm((slope([potential for _, potential, _ in moved]) - kernel) * v)
    assert float(error) < FINITE_DIFFERENCE * float(jnp.linalg.norm(kernel * v))


def test_derivatives_by_parameters_are_slopes(xc_of_parameters):
    """Of potential and kernel, which training on derivatives needs; finite at every density."""
    xc = jax.tree.map(lambda leaf: leaf.astype(float), xc_of_parameters)
    u, v = (jnp.asarray(array) for array in (ordinary(), relative(ordinary())))
    change = jax.tree.map(lambda leaf: jnp.asarray(np.random.default_rng(3).normal(size=leaf.shape)), xc)

    def at(steps):
        moved = jax.tree.map(lambda leaf, by: leaf + steps * STEP * by, xc, change)
        return derivatives_by_parameters(moved, u, v, quadrature())

    expected = slope([at(n)[0] for n in (-2, -1, 1, 2)])
    for exact, difference in zip(at(0)[1], expected, strict=True):
        pairs = zip(jax.tree.leaves(exact), jax.tree.leaves(change), strict=True)
        assert float(sum(jnp.vdot(a, b) for a, b in pairs)) == pytest.approx(float(difference), rel=FINITE_DIFFERENCE)
    edge = jnp.asarray(edges())
    for leaf in jax.tree.leaves(derivatives_by_parameters(xc, edge, jnp.asarray(relative(edges())), quadrature())):
        assert np.isfinite(leaf).all()


def test_precisions_agree(xc):
    double, single = (
        derivatives(xc, jnp.asarray(ordinary(), dtype), jnp.asarray(relative(ordinary()), dtype), quadrature(dtype))
        for dtype in (jnp.float64, jnp.float32)
    )
    assert single[0].dtype == jnp.float32
    assert float(single[0]) == pytest.approx(float(double[0]), rel=SINGLE)
    along = [float(jnp.vdot(relative(ordinary()), potential.astype(float))) for _, potential, _ in (single, double)]
    assert along[0] == pytest.approx(along[1], rel=SINGLE)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_finer_quadrature_keeps_the_densitys_precision(name, randomised):
    xc = randomised(name, **OPTIONS.get(name, {}))
    u = jnp.asarray(ordinary(), jnp.float32)
    energies = [derivatives(xc, u, u, quadrature(dtype))[0] for dtype in (jnp.float64, jnp.float32)]
    assert [energy.dtype for energy in energies] == [jnp.float32] * 2
    assert float(energies[0]) == pytest.approx(float(energies[1]), rel=SINGLE)


def test_batches(xc):
    u, grid = jnp.stack([ordinary(), 1.1 * ordinary()]), quadrature()
    energies = jax.jit(jax.vmap(lambda u: xc.energy(density(u), grid)))(u)
    np.testing.assert_allclose(energies, [derivatives(xc, each, each, grid)[0] for each in u], rtol=ROUNDING)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_file_holds_it_all(name, randomised, tmp_path):
    xc = randomised(name, **OPTIONS.get(name, {}))
    save(tmp_path / "mine.npz", xc, {})
    again = load(tmp_path / "mine.npz")
    assert again.model == xc.model
    assert jax.tree.structure(again) == jax.tree.structure(xc)
    for left, right in zip(jax.tree.leaves(again), jax.tree.leaves(xc), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_key_gives_one_functional(name):
    one, same, other = (jax.tree.leaves(create(name, jax.random.key(seed))) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))
    assert {leaf.dtype for leaf in one} == {jnp.dtype("float32")}
