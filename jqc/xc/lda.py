"""Local-density components: exchange and correlation of the homogeneous electron gas, energy per volume."""

from math import pi, sqrt
from typing import NamedTuple

import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Density
from jqc.xc.features import (
    F_CURVATURE,
    SLATER,
    Spins,
    rho_four_thirds,
    spin_interpolation,
    spin_scaled,
    spins,
    wigner_seitz,
)


def slater(density: Density) -> Float[Array, "*grid"]:
    """Exchange of the homogeneous electron gas, e_x = −¾(3/π)^{1/3} ρ^{4/3}, spin scaled.

    Dirac, Math. Proc. Camb. Philos. Soc. 26, 376 (1930), doi:10.1017/S0305004100016108.
    """
    return spin_scaled(lambda rho, sigma, tau: SLATER * rho_four_thirds(rho), density)


class _Vwn(NamedTuple):
    """Parameters of the Vosko–Wilk–Nusair interpolation."""

    a: float
    b: float
    c: float
    x0: float


_VWN5 = (
    _Vwn(0.0310907, 3.72744, 12.9352, -0.10498),
    _Vwn(0.01554535, 7.06042, 18.0578, -0.32500),
    _Vwn(-1 / (6 * pi**2), 1.13107, 13.0045, -0.0047584),
)
_VWN_RPA = (
    _Vwn(0.0310907, 13.0720, 42.7198, -0.409286),
    _Vwn(0.01554535, 20.1231, 101.578, -0.743294),
)


def _vwn_interpolation(root_rs: Float[Array, "*grid"], p: _Vwn) -> Float[Array, "*grid"]:
    """Padé interpolation in x = √r_s, with X(x) = x² + bx + c and Q = √(4c − b²); VWN 1980, eq. 4.4."""
    q = sqrt(4 * p.c - p.b**2)
    weight = p.b * p.x0 / (p.x0**2 + p.b * p.x0 + p.c)
    angle = 2 * (p.b - weight * (2 * p.x0 + p.b)) / q
    over = 1 / (root_rs * (root_rs + p.b) + p.c)
    shifted = root_rs - p.x0
    logs = jnp.log(root_rs * root_rs * over) - weight * jnp.log(shifted * shifted * over)
    return p.a * (logs + angle * jnp.arctan(q / (2 * root_rs + p.b)))


def vwn5(density: Density) -> Float[Array, "*grid"]:
    """Correlation of Vosko, Wilk and Nusair fitted to quantum Monte Carlo (their form V).

    ε_c = ε_P + α_c f(ζ)(1 − ζ⁴)/f''(0) + (ε_F − ε_P) f(ζ)ζ⁴: Vosko, Wilk & Nusair, Can. J. Phys. 58,
    1200 (1980), eqs. 3.2, 4.4, doi:10.1139/p80-159.
    """
    spin = spins(density)
    root_rs = jnp.sqrt(wigner_seitz(spin.rho))
    para, ferro, stiffness = (_vwn_interpolation(root_rs, p) for p in _VWN5)
    epsilon = _interpolate(spin, para, ferro, stiffness / F_CURVATURE)
    return jnp.where(spin.here, spin.rho * epsilon, 0.0)


def vwn_rpa(density: Density) -> Float[Array, "*grid"]:
    """Correlation of Vosko, Wilk and Nusair fitted to the random-phase approximation, the one inside B3LYP.

    ε_c = ε_P(1 − f(ζ)) + ε_F f(ζ): Vosko, Wilk & Nusair, Can. J. Phys. 58, 1200 (1980), eqs. 2.4, 4.4,
    doi:10.1139/p80-159.
    """
    spin = spins(density)
    root_rs = jnp.sqrt(wigner_seitz(spin.rho))
    para, ferro = (_vwn_interpolation(root_rs, p) for p in _VWN_RPA)
    epsilon = para + (ferro - para) * spin_interpolation(spin)
    return jnp.where(spin.here, spin.rho * epsilon, 0.0)


def _interpolate(
    spin: Spins, para: Float[Array, "*grid"], ferro: Float[Array, "*grid"], stiffness: Float[Array, "*grid"]
) -> Float[Array, "*grid"]:
    """Between closed-shell and polarised gas, `stiffness` = α_c/f''(0)."""
    f = spin_interpolation(spin)
    zeta2 = spin.zeta * spin.zeta
    return para + f * (stiffness + zeta2 * zeta2 * (ferro - para - stiffness))


class Pw92(NamedTuple):
    """Parameters of the Perdew–Wang interpolation."""

    a: float
    alpha1: float
    beta1: float
    beta2: float
    beta3: float
    beta4: float


PW92 = (
    Pw92(0.031091, 0.21370, 7.5957, 3.5876, 1.6382, 0.49294),
    Pw92(0.015545, 0.20548, 14.1189, 6.1977, 3.3662, 0.62517),
    Pw92(0.016887, 0.11125, 10.357, 3.6231, 0.88026, 0.49671),
)
PW92_F_CURVATURE = 1.709921
PW92_MOD = tuple(p._replace(a=a) for p, a in zip(PW92, (0.0310907, 0.01554535, 0.0168869), strict=True))


def _pw92_interpolation(rs: Float[Array, "*grid"], p: Pw92) -> Float[Array, "*grid"]:
    """G(r_s) = −2A(1 + α₁r_s) ln[1 + 1/(2A(β₁r_s^½ + β₂r_s + β₃r_s^{3/2} + β₄r_s²))]; PW 1992, eq. 10."""
    root = jnp.sqrt(rs)
    series = root * (p.beta1 + root * (p.beta2 + root * (p.beta3 + root * p.beta4)))
    return -2 * p.a * (1 + p.alpha1 * rs) * jnp.log1p(1 / (2 * p.a * series))


def pw92_per_particle(
    spin: Spins, parameters: tuple[Pw92, ...] = PW92_MOD, f_curvature: float = F_CURVATURE
) -> Float[Array, "*grid"]:
    """ε_c(r_s, ζ) of Perdew and Wang; by default with the digits that PBE, TPSS and SCAN are built on."""
    rs = wigner_seitz(spin.rho)
    para, ferro, minus_stiffness = (_pw92_interpolation(rs, p) for p in parameters)
    return _interpolate(spin, para, ferro, minus_stiffness * (-1 / f_curvature))


def pw92_ferromagnetic(rho: Float[Array, "*grid"], parameters: tuple[Pw92, ...] = PW92_MOD) -> Float[Array, "*grid"]:
    """ε_c(r_s, ζ = 1) of Perdew and Wang at a positive density."""
    return _pw92_interpolation(wigner_seitz(rho), parameters[1])


def pw92(density: Density) -> Float[Array, "*grid"]:
    """Correlation of Perdew and Wang with the digits of the paper.

    ε_c = ε₀ + α_c f(ζ)(1 − ζ⁴)/f''(0) + (ε₁ − ε₀) f(ζ)ζ⁴: Perdew & Wang, Phys. Rev. B 45, 13244 (1992),
    eqs. 8–10, Table I, doi:10.1103/PhysRevB.45.13244.
    """
    spin = spins(density)
    epsilon = pw92_per_particle(spin, PW92, PW92_F_CURVATURE)
    return jnp.where(spin.here, spin.rho * epsilon, 0.0)


def pw92_mod(density: Density) -> Float[Array, "*grid"]:
    """`pw92` with more digits in A and f''(0), as PBE's authors use it.

    Perdew & Wang, Phys. Rev. B 45, 13244 (1992), doi:10.1103/PhysRevB.45.13244.
    """
    spin = spins(density)
    return jnp.where(spin.here, spin.rho * pw92_per_particle(spin), 0.0)


class _Pz81(NamedTuple):
    """Parameters of the Perdew–Zunger fit: below r_s = 1 a, b, c, d; above it γ, β₁, β₂."""

    a: float
    b: float
    c: float
    d: float
    gamma: float
    beta1: float
    beta2: float


_PZ81 = (
    _Pz81(0.0311, -0.048, 0.0020, -0.0116, -0.1423, 1.0529, 0.3334),
    _Pz81(0.01555, -0.0269, 0.0007, -0.0048, -0.0843, 1.3981, 0.2611),
)


def _pz81_interpolation(rs: Float[Array, "*grid"], p: _Pz81) -> Float[Array, "*grid"]:
    """γ/(1 + β₁√r_s + β₂r_s) at low density, (a + c r_s) ln r_s + b + d r_s at high; PZ 1981, eqs. C3, C5."""
    low = rs >= 1
    dilute, dense = jnp.where(low, rs, 1.0), jnp.where(low, 1.0, rs)
    far = p.gamma / (1 + p.beta1 * jnp.sqrt(dilute) + p.beta2 * dilute)
    near = (p.a + p.c * dense) * jnp.log(dense) + p.b + p.d * dense
    return jnp.where(low, far, near)


def pz81_per_particle(spin: Spins) -> Float[Array, "*grid"]:
    """ε_c(r_s, ζ) of Perdew and Zunger."""
    rs = wigner_seitz(spin.rho)
    para, ferro = (_pz81_interpolation(rs, p) for p in _PZ81)
    return para + (ferro - para) * spin_interpolation(spin)


def pz81(density: Density) -> Float[Array, "*grid"]:
    """Correlation of Perdew and Zunger, ε_c = ε_P + (ε_F − ε_P) f(ζ), the local part of P86.

    Perdew & Zunger, Phys. Rev. B 23, 5048 (1981), appendix C, doi:10.1103/PhysRevB.23.5048.
    """
    spin = spins(density)
    return jnp.where(spin.here, spin.rho * pz81_per_particle(spin), 0.0)
