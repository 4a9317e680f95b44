"""What networks read of a density, smooth to second order at every density, τ below τ_W and σ = 0 included.

Published features have logarithms and roots that are singular where a slope or α vanishes, as both do in molecules;
here each is a smooth function that has the published one's limits. Spin factors are those of `jqc.xc.features.Spins`.
"""

from math import log

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.features import S2, TAU_UNIFORM, Spins, cbrt, reduced_gradient_squared

DENSITY_FLOOR = 1e-5
"""Added to ρ^{1/3} before its logarithm (Dick & Fernández-Serra 2021)."""

SLOPE_ROUNDING = 1e-3
"""Reduced gradients below this are rounded off, where √s² has no second derivative."""


def log_one_plus(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """ln(1 + x) for x ≥ 0, −ln(1 − x + x²) below: two continuous derivatives, and no pole at x = −1.

    Kinetic energy densities fall short of their bounds by rounding, where a logarithm must not fail.
    """
    positive = x >= 0
    above, below = jnp.where(positive, x, 0.0), jnp.where(positive, 0.0, x)
    return jnp.where(positive, jnp.log1p(above), -jnp.log1p(below * (below - 1)))


def log_above(x: Float[Array, "..."], floor: float) -> Float[Array, "..."]:
    """ln(x + floor), safe where rounding makes x negative."""
    return log(floor) + log_one_plus(x / floor)


def log_density(rho: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """ln(ρ^{1/3} + 1e-5) of a positive density."""
    return jnp.log(cbrt(rho) + DENSITY_FLOOR)


def slope_squared(rho: Float[Array, "*grid"], sigma: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """s² = |∇ρ|²/(2 k_F ρ)² of a positive density."""
    return S2 * reduced_gradient_squared(rho, sigma)


def slope_feature(s2: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """s̃ = (1 − exp(−s²)) ln(1 + s), zero for the uniform gas, with s = √(s² + 1e-6) in the logarithm."""
    rounded = SLOPE_ROUNDING**2
    held = jnp.where(s2 > -0.5 * rounded, s2, 0.0)  # rounding makes a sum of opposite slopes negative
    return -jnp.expm1(-s2) * jnp.log1p(jnp.sqrt(held + rounded))


def kinetic_ratio(rho: Float[Array, "*grid"], tau: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """τ/τ_unif, with τ_unif = (3/10)(3π²)^{2/3} ρ^{5/3} of a positive, unpolarised density."""
    root = cbrt(rho)
    return tau / (TAU_UNIFORM * rho * (root * root))


def indicator(
    rho: Float[Array, "*grid"], sigma: Float[Array, "*grid"], tau: Float[Array, "*grid"]
) -> Float[Array, "*grid"]:
    """α = (τ − τ_W)/τ_unif of a positive, unpolarised density: 0 for one orbital, 1 for the uniform gas."""
    return kinetic_ratio(rho, tau) - (5 / 3) * slope_squared(rho, sigma)


def indicator_feature(alpha: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """α̃ = ln((1 + α)/2), zero for the uniform gas."""
    return log_one_plus(alpha) - log(2)


def kinetic_spin_factor(spin: Spins) -> Float[Array, "*grid"]:
    """τ_unif(ζ)/τ_unif(0) = ½[(1+ζ)^{5/3} + (1−ζ)^{5/3}]."""
    up, down = cbrt(spin.up), cbrt(spin.down)
    return 0.5 * (spin.up * (up * up) + spin.down * (down * down))


def exchange_spin_factor(spin: Spins) -> Float[Array, "*grid"]:
    """e_x(ζ)/e_x(0) of the uniform gas, ½[(1+ζ)^{4/3} + (1−ζ)^{4/3}]."""
    return 0.5 * (spin.up * cbrt(spin.up) + spin.down * cbrt(spin.down))


def below(bound: float, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """LOB: an enhancement between 0 and `bound` that is 1 at x = 0, L·σ(x − ln(L − 1))."""
    return bound * jax.nn.sigmoid(x - log(bound - 1))
