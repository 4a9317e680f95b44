"""Generalised-gradient components: energy per volume from ρσ and σ, smooth in |∇ρ|²."""

from collections.abc import Callable
from math import log, pi

import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Density
from jqc.xc.features import (
    S2,
    SLATER,
    TAU_UNIFORM,
    cbrt,
    phi,
    reduced_gradient_squared,
    rho_four_thirds,
    spin_scaled,
    spins,
    wigner_seitz,
    x_asinh_x,
)
from jqc.xc.lda import pw92_per_particle, pz81_per_particle

Enhancement = Callable[[Float[Array, "*grid"]], Float[Array, "*grid"]]

PBE_KAPPA = 0.804
PBE_MU = 0.2195149727645171
PBE_BETA = 0.06672455060314922
PBE_GAMMA = (1 - log(2)) / pi**2


def enhanced_exchange(enhancement: Enhancement, density: Density) -> Float[Array, "*grid"]:
    """Σ_σ e_x^LDA F(s²), with s² = |∇ρ|²/(4(3π²)^{2/3}ρ^{8/3}) of the doubled spin density."""

    def closed_shell(rho, sigma, tau):
        s2 = S2 * reduced_gradient_squared(rho, sigma)
        return SLATER * rho_four_thirds(rho) * enhancement(s2)

    return spin_scaled(closed_shell, density)


def pbe_enhancement(s2: Float[Array, "*grid"], kappa: float = PBE_KAPPA, mu: float = PBE_MU) -> Float[Array, "*grid"]:
    """F(s²) = 1 + κ − κ/(1 + μs²/κ); PBE 1996, eq. 14."""
    return 1 + mu * s2 / (1 + (mu / kappa) * s2)


def pbe_x(density: Density) -> Float[Array, "*grid"]:
    """Exchange of Perdew, Burke and Ernzerhof, F(s²) = 1 + κ − κ/(1 + μs²/κ).

    Perdew, Burke & Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996), eq. 14, doi:10.1103/PhysRevLett.77.3865.
    """
    return enhanced_exchange(pbe_enhancement, density)


def revpbe_x(density: Density) -> Float[Array, "*grid"]:
    """PBE exchange with κ = 1.245.

    Zhang & Yang, Phys. Rev. Lett. 80, 890 (1998), doi:10.1103/PhysRevLett.80.890.
    """
    return enhanced_exchange(lambda s2: pbe_enhancement(s2, kappa=1.245), density)


def rpbe_x(density: Density) -> Float[Array, "*grid"]:
    """Exchange of Hammer, Hansen and Nørskov, F(s²) = 1 + κ(1 − exp(−μs²/κ)).

    Hammer, Hansen & Nørskov, Phys. Rev. B 59, 7413 (1999), eq. 15, doi:10.1103/PhysRevB.59.7413.
    """
    return enhanced_exchange(lambda s2: 1 - PBE_KAPPA * jnp.expm1(-(PBE_MU / PBE_KAPPA) * s2), density)


def pbesol_x(density: Density) -> Float[Array, "*grid"]:
    """PBE exchange with the gradient expansion's μ = 10/81.

    Perdew et al., Phys. Rev. Lett. 100, 136406 (2008), doi:10.1103/PhysRevLett.100.136406.
    """
    return enhanced_exchange(lambda s2: pbe_enhancement(s2, mu=10 / 81), density)


_B88_BETA = 0.0042
_B88_SLATER = -SLATER * 2 ** (1 / 3)  # e_x^LDA of one spin is −_B88_SLATER·ρσ^{4/3}
_B88_X2 = 2 ** (2 / 3) / S2  # xσ² = σσσ/ρσ^{8/3} in units of s²


def b88_enhancement(s2: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """F = 1 + (β/C_x) x²/(1 + 6βx asinh x), x = |∇ρσ|/ρσ^{4/3}; Becke 1988, eq. 8."""
    x2 = _B88_X2 * s2
    return 1 + (_B88_BETA / _B88_SLATER) * x2 / (1 + 6 * _B88_BETA * x_asinh_x(x2))


def b88(density: Density) -> Float[Array, "*grid"]:
    """Exchange of Becke, e_x = e_x^LDA − β Σ_σ ρσ^{4/3} x²/(1 + 6βx asinh x), x = |∇ρσ|/ρσ^{4/3}.

    Becke, Phys. Rev. A 38, 3098 (1988), eq. 8, doi:10.1103/PhysRevA.38.3098.
    """
    return enhanced_exchange(b88_enhancement, density)


def pbe_per_particle(
    rho: Float[Array, "*grid"],
    sigma: Float[Array, "*grid"],
    gas: Float[Array, "*grid"],
    factor: Float[Array, "*grid"] | float,
    beta: float = PBE_BETA,
) -> Float[Array, "*grid"]:
    """ε_c of PBE from that of the homogeneous gas and φ(ζ); PBE 1996, eqs. 3, 7, 8.

    ε + γφ³ ln[1 + w(1 − 1/(1 + u + u²))] with w = exp(−ε/γφ³) − 1, u = At² = βt²/γw. The two terms cancel at
    large t, so they are one logarithm: γφ³ ln[1 + (exp(ε/γφ³) − 1)/(1 + u + u²)].
    """
    scale = PBE_GAMMA * factor * factor * factor
    t2 = reduced_gradient_squared(rho, sigma) / (16 * 2 ** (2 / 3) * factor * factor * wigner_seitz(rho))
    decay = jnp.expm1(gas / scale)
    u = (-beta / PBE_GAMMA) * t2 * (1 + decay) / decay
    return scale * jnp.log1p(decay / (1 + u + u * u))


def _pbe_correlation(density: Density, beta: float) -> Float[Array, "*grid"]:
    """ρ ε_c for the value of β that sets the gradient's weight."""
    spin = spins(density)
    epsilon = pbe_per_particle(spin.rho, spin.sigma, pw92_per_particle(spin), phi(spin), beta)
    return jnp.where(spin.here, spin.rho * epsilon, 0.0)


def pbe_c(density: Density) -> Float[Array, "*grid"]:
    """Correlation of Perdew, Burke and Ernzerhof, ε_c + γφ³ ln[1 + (β/γ) t²(1 + At²)/(1 + At² + A²t⁴)].

    Perdew, Burke & Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996), eqs. 3, 7, 8,
    doi:10.1103/PhysRevLett.77.3865.
    """
    return _pbe_correlation(density, PBE_BETA)


def pbesol_c(density: Density) -> Float[Array, "*grid"]:
    """PBE correlation with β = 0.046.

    Perdew et al., Phys. Rev. Lett. 100, 136406 (2008), doi:10.1103/PhysRevLett.100.136406.
    """
    return _pbe_correlation(density, 0.046)


_LYP_A, _LYP_B, _LYP_C, _LYP_D = 0.04918, 0.132, 0.2533, 0.349


def lyp(density: Density) -> Float[Array, "*grid"]:
    """Correlation of Lee, Yang and Parr, in the form without second derivatives of the density.

    Lee, Yang & Parr, Phys. Rev. B 37, 785 (1988), doi:10.1103/PhysRevB.37.785; Miehlich, Savin, Stoll &
    Preuss, Chem. Phys. Lett. 157, 200 (1989), eq. 2, doi:10.1016/0009-2614(89)87234-3. Their −⅔ρ²|∇ρ|² and
    (⅔ρ² − ρσ²)|∇ρσ'|² nearly cancel, so the terms are collected by σαα, σαβ, σββ, in units of ρ^{8/3}.
    """
    spin = spins(density)
    root = 1 / cbrt(spin.rho)
    damping = 1 / (1 + _LYP_D * root)
    delta = root * (_LYP_C + _LYP_D * damping)
    aa, ab, bb = (reduced_gradient_squared(spin.rho, jnp.where(spin.here, sigma, 0.0)) for sigma in density.sigma)
    alpha, beta = 0.5 * spin.up, 0.5 * spin.down
    kinetic = 2 ** (11 / 3) * TAU_UNIFORM * (_eight_thirds(alpha) + _eight_thirds(beta))
    same = (1 - 3 * delta) * (aa + bb) + (11 - delta) * (alpha * aa + beta * bb)
    opposite = (47 - 7 * delta) * ab
    pair = alpha * beta
    bracket = pair * (kinetic + (same + opposite) / 9) - (4 / 3) * ab - alpha * alpha * bb - beta * beta * aa
    damped = 4 * pair + _LYP_B * jnp.exp(-_LYP_C * root) * bracket
    return jnp.where(spin.here, -_LYP_A * spin.rho * damping * damped, 0.0)


def _eight_thirds(x: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    root = cbrt(x)
    return x * x * root * root


_P86_FTILDE = 0.19195  # 1.745 × 0.11, the digits that implementations share
_P86_LIMIT = 0.001667 + 0.002568  # C(∞)


def _p86_coefficient(rs: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """Gradient coefficient C(r_s) of the homogeneous gas; Perdew 1986, eq. 6."""
    alpha, beta, gamma, delta = 0.023266, 7.389e-6, 8.723, 0.472
    below = 1 + rs * (gamma + rs * (delta + rs * (1e4 * beta)))
    return 0.001667 + (0.002568 + rs * (alpha + rs * beta)) / below


def p86(density: Density) -> Float[Array, "*grid"]:
    """Correlation of Perdew 1986 on the local part of Perdew and Zunger.

    ε_c^PZ + e^{−Φ} C(ρ)|∇ρ|²/(d ρ^{7/3}), Φ = 1.745·0.11·[C(∞)/C(ρ)]|∇ρ|/ρ^{7/6}:
    Perdew, Phys. Rev. B 33, 8822 (1986), eqs. 4–9, doi:10.1103/PhysRevB.33.8822.
    """
    spin = spins(density)
    rs = wigner_seitz(spin.rho)
    coefficient = _p86_coefficient(rs)
    x2 = reduced_gradient_squared(spin.rho, spin.sigma) * cbrt(spin.rho)
    # exp(−Φ) is linear in |∇ρ|: below this x² it is one, and its diverging derivatives are cut off.
    flat = x2 < 1e-30
    gradient = jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, x2)))
    decay = jnp.exp(-_P86_FTILDE * _P86_LIMIT * gradient / coefficient)
    up, down = cbrt(spin.up), cbrt(spin.down)
    polarisation = jnp.sqrt(0.5 * (spin.up * up * up + spin.down * down * down))
    epsilon = pz81_per_particle(spin) + x2 * decay * coefficient / polarisation
    return jnp.where(spin.here, spin.rho * epsilon, 0.0)
