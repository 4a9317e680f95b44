"""Becke's 1997 form: power series in a bounded gradient variable, for exchange and for each pair of spins."""

import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.attenuated import attenuation
from jqc.xc.base import Density
from jqc.xc.features import (
    FERMI,
    SLATER,
    cbrt,
    polynomial,
    present,
    reduced_gradient_squared,
    spin_scaled,
)
from jqc.xc.lda import PW92, pw92, pw92_ferromagnetic

Coefficients = tuple[float, ...]

X2_DOUBLED = 2 ** (2 / 3)
"""xσ² = σσσ/ρσ^{8/3} is this times σ/ρ^{8/3} of the doubled spin density."""


def b97_series(x2: Float[Array, "*grid"], gamma: float, coefficients: Coefficients) -> Float[Array, "*grid"]:
    """Σ_i c_i uⁱ with u = γx²/(1 + γx²) between zero and one; Becke 1997, eq. 5."""
    scaled = gamma * x2
    return polynomial(scaled / (1 + scaled), coefficients)


def b97_exchange_short_range(density: Density, omega: float, coefficients: Coefficients) -> Float[Array, "*grid"]:
    """Short-range LDA exchange times a B97 series with γ = 0.004; Chai & Head-Gordon 2008, eqs. 7–9."""

    def closed_shell(rho, sigma, tau):
        root = cbrt(rho)
        x2 = X2_DOUBLED * reduced_gradient_squared(rho, sigma)
        uniform = SLATER * rho * root * attenuation((FERMI / omega) ** 2 * root * root)
        return uniform * b97_series(x2, 0.004, coefficients)

    return spin_scaled(closed_shell, density)


def b97_correlation(density: Density, same: Coefficients, opposite: Coefficients) -> Float[Array, "*grid"]:
    """Correlation of equal and of opposite spins, each times a B97 series, with γ = 0.2 and 0.006.

    e_σσ = e_c[ρσ, 0] and e_αβ = e_c[ρα, ρβ] − e_αα − e_ββ of the homogeneous gas (Stoll, Pavlidou & Preuss,
    Theor. Chim. Acta 49, 143 (1978), doi:10.1007/PL00020511): Becke 1997, eqs. 3–6.
    """
    pair = pw92(density)
    total = jnp.zeros_like(pair)
    average = jnp.zeros_like(pair)
    for spin in (0, 1):
        rho, sigma = density.rho[spin], density.sigma[2 * spin]
        here = present(rho)
        rho, sigma = jnp.where(here, rho, 1.0), jnp.where(here, sigma, 0.0)
        x2 = reduced_gradient_squared(rho, sigma)
        alone = jnp.where(here, rho * pw92_ferromagnetic(rho, PW92), 0.0)
        pair = pair - alone
        average = average + 0.5 * x2
        total = total + alone * b97_series(x2, 0.2, same)
    return total + pair * b97_series(average, 0.006, opposite)


def wb97x(density: Density) -> Float[Array, "*grid"]:
    """Exchange and correlation of ωB97X, without its exact exchange.

    Chai & Head-Gordon, J. Chem. Phys. 128, 084106 (2008), eqs. 7–14, Table I, doi:10.1063/1.2834918, on the
    form of Becke, J. Chem. Phys. 107, 8554 (1997), doi:10.1063/1.475007.
    """
    exchange = b97_exchange_short_range(density, 0.3, (0.842294, 0.726479, 1.0476, -5.70635, 13.2794))
    same = (1.0, -4.33879, 18.2308, -31.743, 17.2901)
    opposite = (1.0, 2.37031, -11.3995, 6.58405, -3.78132)
    return exchange + b97_correlation(density, same, opposite)
