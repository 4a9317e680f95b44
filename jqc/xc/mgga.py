"""TPSS, the meta-GGA of Tao, Perdew, Staroverov and Scuseria, and what its relatives share with it.

"TPSS" is Phys. Rev. Lett. 91, 146401 (2003), doi:10.1103/PhysRevLett.91.146401; "PTSS" its long version,
J. Chem. Phys. 120, 6898 (2004), doi:10.1063/1.1665298.
"""

from math import sqrt

import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Density
from jqc.xc.features import (
    S2,
    SLATER,
    TAU_UNIFORM,
    Spins,
    cbrt,
    per_spin,
    phi,
    polynomial,
    reduced_gradient_squared,
    rho_four_thirds,
    spin_scaled,
    spins,
    total,
)
from jqc.xc.gga import PBE_KAPPA, pbe_per_particle
from jqc.xc.lda import pw92_ferromagnetic, pw92_per_particle

_Z_BOUND = 1 + 1e-10


def iso_orbital(
    rho: Float[Array, "*grid"], sigma: Float[Array, "*grid"], tau: Float[Array, "*grid"]
) -> Float[Array, "*grid"]:
    """Iso-orbital indicator z = τ_W/τ = σ/(8ρτ): one for a single orbital, zero in the homogeneous gas.

    No set of orbitals has τ < τ_W. The bound is enforced a little outside, so that the rounding of a
    one-orbital density, which lives at z = 1, does not switch between derivatives.
    """
    weizsaecker = 0.125 * sigma / rho
    physical = weizsaecker < _Z_BOUND * tau
    return jnp.where(physical, weizsaecker / jnp.where(physical, tau, 1.0), _Z_BOUND)


def uniform_tau(rho: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """τ of the homogeneous gas, (3/10)(3π²)^{2/3} ρ^{5/3}."""
    root = cbrt(rho)
    return TAU_UNIFORM * rho * (root * root)


_MU_GE = 10 / 81  # second-order gradient expansion of exchange
_B, _C, _E, _MU = 0.40, 1.59096, 1.537, 0.21951


def _tpss_x(
    s2: Float[Array, "*grid"], z: Float[Array, "*grid"], tau_ratio: Float[Array, "*grid"]
) -> Float[Array, "*grid"]:
    """x(p, z) with p = s², q_b from α = τ/τ_uniform − 5p/3; TPSS, eqs. 7, 10.

    As p = (3z/5) τ/τ_uniform, the root √[½(9z²/25 + p²)] is (3z/5)√[½(1 + (τ/τ_uniform)²)], smooth at p = 0.
    """
    alpha = tau_ratio - (5 / 3) * s2
    qb = (9 / 20) * (alpha - 1) / jnp.sqrt(1 + _B * alpha * (alpha - 1)) + (2 / 3) * s2
    root = 0.6 * z * jnp.sqrt(0.5 + 0.5 * tau_ratio * tau_ratio)
    z2 = z * z
    damped = 1 / (1 + z2)
    gradient = _MU_GE + _C * z2 * (damped * damped) + s2 * (_MU_GE**2 / PBE_KAPPA + (_E * _MU) * s2)
    laplacian = qb * ((146 / 2025) * qb - (73 / 405) * root)
    over = 1 / (1 + sqrt(_E) * s2)
    return (s2 * gradient + laplacian + (18 / 25 * sqrt(_E) * _MU_GE) * z2) * (over * over)


def tpss_x(density: Density) -> Float[Array, "*grid"]:
    """TPSS exchange, e_x = e_x^LDA [1 + κ − κ/(1 + x(p, z)/κ)], p = s², z = τ_W/τ.

    Tao, Perdew, Staroverov & Scuseria, Phys. Rev. Lett. 91, 146401 (2003), eqs. 5–10,
    doi:10.1103/PhysRevLett.91.146401.
    """

    def closed_shell(rho, sigma, tau):
        s2 = S2 * reduced_gradient_squared(rho, sigma)
        x = _tpss_x(s2, iso_orbital(rho, sigma, tau), tau / uniform_tau(rho))
        return SLATER * rho_four_thirds(rho) * (1 + PBE_KAPPA * x / (PBE_KAPPA + x))

    return spin_scaled(closed_shell, density)


_C0 = (0.53, 0.87, 0.50, 2.26)
_D = 2.8


def _tpss_c0(spin: Spins, density: Density) -> Float[Array, "*grid"]:
    """C(ζ, ξ) = (0.53 + 0.87ζ² + 0.50ζ⁴ + 2.26ζ⁶)/{1 + ½ξ²[(1+ζ)^{−4/3} + (1−ζ)^{−4/3}]}⁴; TPSS, eqs. 13, 14.

    ξ = |∇ζ|/(2(3π²ρ)^{1/3}), with ρ²|∇ζ|² = (1−ζ)²σ_αα − 2(1−ζ²)σ_αβ + (1+ζ)²σ_ββ.
    """
    aa, ab, bb = (jnp.where(spin.here, sigma, 0.0) for sigma in density.sigma)
    up, down = spin.up, spin.down
    numerator = down * (down * aa - 2 * up * ab) + up * up * bb
    xi2 = S2 * reduced_gradient_squared(spin.rho, numerator)
    up, down = up * cbrt(up), down * cbrt(down)
    denominator = 1 + 0.5 * xi2 * (up + down) / (up * down)
    squared = denominator * denominator
    return polynomial(spin.zeta * spin.zeta, _C0) / (squared * squared)


def _parallel(density: Density, epsilon: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """Σ_σ ρσ max[ε_c(ρσ, 0), ε_c(ρα, ρβ)]; TPSS, eq. 12."""
    # φ(±1) as `spins` holds it, a rounding inside: then one electron's correlation cancels to the last digit.
    factor = 0.5 * (2 ** (2 / 3) + float(jnp.finfo(epsilon.dtype).eps) ** (2 / 3))

    def same_spin(rho, sigma, tau):
        alone = pbe_per_particle(rho, sigma, pw92_ferromagnetic(rho), factor)
        return rho * jnp.maximum(alone, epsilon)

    return total(per_spin(same_spin, density.rho[s], density.sigma[2 * s], density.tau[s]) for s in (0, 1))


def tpss_c(density: Density) -> Float[Array, "*grid"]:
    """TPSS correlation, ρ ε'(1 + 2.8 ε' z³), which vanishes for one electron.

    ε' = ε_PBE(1 + Cz²) − (1 + C)z² Σ_σ (ρσ/ρ) max[ε_PBE(ρσ, 0), ε_PBE], z = τ_W/τ:
    Tao, Perdew, Staroverov & Scuseria, Phys. Rev. Lett. 91, 146401 (2003), eqs. 11–14,
    doi:10.1103/PhysRevLett.91.146401.
    """
    spin = spins(density)
    epsilon = pbe_per_particle(spin.rho, spin.sigma, pw92_per_particle(spin), phi(spin))
    tau = jnp.where(spin.here, density.tau[0] + density.tau[1], 1.0)
    z = iso_orbital(spin.rho, spin.sigma, tau)
    z2 = z * z
    c0 = _tpss_c0(spin, density)
    revised = epsilon * (1 + c0 * z2) - (1 + c0) * z2 * _parallel(density, epsilon) / spin.rho
    return jnp.where(spin.here, spin.rho * revised * (1 + _D * revised * (z2 * z)), 0.0)
