"""XCdiff keeps its exact constraints for any parameters."""

import jax.numpy as jnp
import numpy as np
import pytest

import jqc
from jqc.system import build_system
from jqc.xc import Density, Quadrature
from jqc.xc.features import TAU_UNIFORM
from jqc.xc.lda import pw92, slater
from jqc.xc.neural.features import below
from jqc.xc.neural.xcdiff import CORRELATION_BOUND, EXCHANGE_BOUND

ROUNDING = 1e-12
"""Relative; the constraint holds by construction."""

GRID = 500


@pytest.fixture
def xc(randomised):
    """Noise so large that enhancements come near their bounds."""
    return randomised("xcdiff", 2.0)


def anything(seed: int = 0) -> Density:
    rng = np.random.default_rng(seed)
    rho = 10 ** rng.uniform(-5, 2, (2, GRID))
    slope = 10 ** rng.uniform(-2, 1, (2, GRID)) * 6 * rho ** (4 / 3)
    sigma = np.stack([slope[0] ** 2, rng.uniform(-1, 1, GRID) * slope[0] * slope[1], slope[1] ** 2])
    tau = sigma[[0, 2]] / (8 * rho) + 10 ** rng.uniform(-2, 1, (2, GRID)) * rho ** (5 / 3)
    return Density(jnp.asarray(rho), jnp.asarray(sigma), jnp.asarray(tau))


def energy_density(xc, part: str, density: Density):
    return xc.model.apply(xc.parameters, density, method=f"{part}_density")


def weights() -> np.ndarray:
    return np.random.default_rng(1).uniform(size=GRID)


def test_untrained_is_the_local_density_approximation(randomised):
    expected = slater(anything()) + pw92(anything())
    got = energy_density(randomised("xcdiff", 0.0), "energy", anything())
    np.testing.assert_allclose(got, expected, rtol=ROUNDING)


@pytest.mark.parametrize("zeta", [0.0, 0.4, -1.0])
def test_uniform_gas(xc, zeta):
    rho = np.stack([1 + zeta, 1 - zeta])[:, None] * np.geomspace(1e-4, 1e2, 30) / 2
    gas = Density(jnp.asarray(rho), jnp.zeros((3, 30)), jnp.asarray(2 ** (2 / 3) * TAU_UNIFORM * rho ** (5 / 3)))
    np.testing.assert_allclose(energy_density(xc, "exchange", gas), slater(gas), rtol=ROUNDING)
    np.testing.assert_allclose(energy_density(xc, "correlation", gas), pw92(gas), rtol=ROUNDING)


@pytest.mark.parametrize(
    ("part", "uniform", "bound"), [("exchange", slater, EXCHANGE_BOUND), ("correlation", pw92, CORRELATION_BOUND)]
)
def test_bounds(randomised, part, uniform, bound):
    """Enhancements stay inside, and some noise brings them near enough for this to mean something."""
    trials = [energy_density(randomised("xcdiff", 2.0, seed), part, anything()) for seed in range(6)]
    enhancements = np.stack(trials) / uniform(anything())
    assert 0 <= enhancements.min() < 0.01
    assert 0.99 * bound < enhancements.max() < bound * (1 + ROUNDING)


@pytest.mark.parametrize("bound", [EXCHANGE_BOUND, CORRELATION_BOUND])
def test_the_bound_itself(bound):
    x = jnp.linspace(-800.0, 800.0, 1601)
    assert float(below(bound, jnp.zeros(()))) == pytest.approx(1, rel=ROUNDING)
    assert 0 <= below(bound, x).min() <= below(bound, x).max() <= bound


def test_spin_scaling_of_exchange(xc):
    """E_x[ρα, ρβ] = ½ E_x[2ρα] + ½ E_x[2ρβ], where 2ρσ is a closed shell with ρσ for either spin."""
    density = anything()
    shells = [
        Density(density.rho[rows], density.sigma[2 * jnp.array([spin] * 3)], density.tau[rows])
        for spin, rows in ((0, jnp.array([0, 0])), (1, jnp.array([1, 1])))
    ]
    expected = 0.5 * sum(energy_density(xc, "exchange", shell) for shell in shells)
    np.testing.assert_allclose(energy_density(xc, "exchange", density), expected, rtol=ROUNDING)


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_uniform_scaling_of_exchange(xc, scale):
    """E_x[ρ_γ] = γ E_x[ρ] with ρ_γ(r) = γ³ρ(γr)."""
    density = anything()
    scaled = Density(scale**3 * density.rho, scale**8 * density.sigma, scale**5 * density.tau)
    before = weights() @ energy_density(xc, "exchange", density)
    after = weights() / scale**3 @ energy_density(xc, "exchange", scaled)
    assert float(after) == pytest.approx(scale * float(before), rel=ROUNDING)


def test_scf_and_pyscf(water, randomised):
    """One energy, whichever program solves, on one grid."""
    from pyscf import dft

    from jqc.pyscf import with_functional
    from jqc.system.basis import make_mole

    xc = randomised("xcdiff")
    result = jqc.scf(build_system(water, grid_level=0), xc).check()
    solver = dft.RKS(make_mole(water, "def2-svp")).density_fit(auxbasis="def2-universal-jkfit")
    solver.grids.level, solver.conv_tol = 0, 1e-9
    assert with_functional(solver, xc).kernel() == pytest.approx(result.energy, abs=1e-6)


def test_points_of_weight_zero_count_for_nothing(xc):
    density = anything()
    grid = Quadrature(jnp.zeros((GRID, 3)), jnp.zeros(GRID), jnp.zeros((1, 3)), jnp.ones(1, int))
    assert float(xc.energy(density, grid)) == 0
