"""M06-L, the local meta-GGA of Zhao and Truhlar: energy per volume from ρσ, σ and τσ.

Zhao & Truhlar, J. Chem. Phys. 125, 194101 (2006), doi:10.1063/1.2370993 ("M06-L").
"""

from typing import NamedTuple

import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.b97 import X2_DOUBLED, b97_series
from jqc.xc.base import Density
from jqc.xc.features import (
    S2,
    SLATER,
    TAU_UNIFORM,
    per_spin,
    polynomial,
    present,
    reduced_gradient_squared,
    rho_four_thirds,
    spin_scaled,
    total,
)
from jqc.xc.gga import pbe_enhancement
from jqc.xc.lda import pw92_ferromagnetic, pw92_mod
from jqc.xc.mgga import iso_orbital, uniform_tau

_KINETIC = 2 ** (5 / 3) * TAU_UNIFORM  # 2τσ = _KINETIC·ρσ^{5/3} in the homogeneous gas


class _Vs98(NamedTuple):
    """Coefficients of the working function of Van Voorhis and Scuseria."""

    alpha: float
    d0: float
    d1: float
    d2: float
    d3: float
    d4: float


_VS98_X = _Vs98(0.00186726, 0.6012244, 0.004748822, -0.008635108, -0.000009308062, 0.00004482811)
_VS98_SAME = _Vs98(0.00515088, 0.4650534, 0.1617589, 0.1833657, 0.0004692100, -0.004990573)
_VS98_OPPOSITE = _Vs98(0.00304966, 0.3957626, -0.5614546, 0.01403963, 0.0009831442, -0.003577176)


def _vs98(x2: Float[Array, "*grid"], z: Float[Array, "*grid"], d: _Vs98) -> Float[Array, "*grid"]:
    """h(x, z) = d₀/γ + (d₁x² + d₂z)/γ² + (d₃x⁴ + d₄x²z)/γ³ with γ = 1 + α(x² + z); M06-L, eq. 5."""
    over = 1 / (1 + d.alpha * (x2 + z))
    quadratic = (d.d3 * x2 + d.d4 * z) * x2
    return over * (d.d0 + over * (d.d1 * x2 + d.d2 * z + over * quadratic))


_EXCHANGE = (
    *(0.3987756, 0.2548219, 0.3923994, -2.103655, -6.302147, 10.97615),
    *(30.97273, -23.18489, -56.73480, 21.60364, 34.21814, -9.049762),
)


def m06l_x(density: Density) -> Float[Array, "*grid"]:
    """M06-L exchange, Σ_σ e_x^LDA [F_PBE(s) f(w) + h(x, z)], w = (τ_uniform − τ)/(τ_uniform + τ).

    Zhao & Truhlar, J. Chem. Phys. 125, 194101 (2006), eqs. 2–9, doi:10.1063/1.2370993. Their τ is
    Σ_i |∇ψ_i|², twice the one here: z = 2τσ/ρσ^{5/3} − C_F.
    """

    def closed_shell(rho, sigma, tau):
        x2 = reduced_gradient_squared(rho, sigma)
        uniform = uniform_tau(rho)
        w = (uniform - tau) / (uniform + tau)
        z = _KINETIC * (tau / uniform - 1)
        enhancement = pbe_enhancement(S2 * x2) * polynomial(w, _EXCHANGE) + _vs98(X2_DOUBLED * x2, z, _VS98_X)
        return SLATER * rho_four_thirds(rho) * enhancement

    return spin_scaled(closed_shell, density)


_SAME = (0.06, (0.5349466, 0.5396620, -31.61217, 51.49592, -29.19613))
_OPPOSITE = (0.0031, (0.6042374, 177.6783, -251.3252, 76.35173, -12.55699))


def _reduced(rho, sigma, tau):
    """xσ² = σσσ/ρσ^{8/3} and zσ = 2τσ/ρσ^{5/3} − C_F of one spin."""
    return reduced_gradient_squared(rho, sigma), 2 * TAU_UNIFORM * tau / uniform_tau(rho) - _KINETIC


def _same_spin(rho, sigma, tau):
    """ρσ ε_c(ρσ, 0) [g(x) + h(x, z)] D with D = 1 − τ_W/τ, zero for one electron; M06-L, eqs. 14, 15."""
    x2, z = _reduced(rho, sigma, tau)
    factor = b97_series(x2, *_SAME) + _vs98(x2, z, _VS98_SAME)
    return rho * pw92_ferromagnetic(rho) * factor * (1 - iso_orbital(rho, sigma, tau))


def m06l_c(density: Density) -> Float[Array, "*grid"]:
    """M06-L correlation: gas correlation of opposite and of same spins, each times its own g(x) + h(x, z).

    e_αβ [g + h](x_α² + x_β², z_α + z_β) + Σ_σ e_σσ [g + h](x_σ², z_σ)(1 − τ_W/τ), where the gas correlation
    is e_c[ρα, ρβ] = e_αβ + e_αα + e_ββ: Zhao & Truhlar, J. Chem. Phys. 125, 194101 (2006), eqs. 10–16,
    doi:10.1063/1.2370993.
    """
    channels = [(density.rho[s], density.sigma[2 * s], density.tau[s]) for s in (0, 1)]

    def over_spins(function):
        return total(per_spin(function, *channel) for channel in channels)

    pair = pw92_mod(density) - over_spins(lambda rho, sigma, tau: rho * pw92_ferromagnetic(rho))
    both = present(density.rho[0]) & present(density.rho[1])
    x2 = over_spins(lambda rho, sigma, tau: _reduced(rho, sigma, tau)[0])
    z = over_spins(lambda rho, sigma, tau: _reduced(rho, sigma, tau)[1])
    opposite = b97_series(x2, *_OPPOSITE) + _vs98(x2, z, _VS98_OPPOSITE)
    return jnp.where(both, pair * opposite, 0.0) + over_spins(_same_spin)
