"""SCAN and its regularised form r²SCAN, which switch between orbital limits by α = (τ − τ_W)/τ_uniform.

"SCAN" is Sun, Ruzsinszky & Perdew, Phys. Rev. Lett. 115, 036402 (2015), doi:10.1103/PhysRevLett.115.036402;
"r²SCAN" is Furness, Kaplan, Ning, Perdew & Sun, J. Phys. Chem. Lett. 11, 8208 (2020),
doi:10.1021/acs.jpclett.0c02405, with the equations of its supplement.
"""

from math import pi, sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jqc.typing import Array, Bool, Float
from jqc.xc.base import Density
from jqc.xc.features import (
    S2,
    SLATER,
    TAU_UNIFORM,
    Spins,
    cbrt,
    phi,
    polynomial,
    reduced_gradient_squared,
    rho_four_thirds,
    spin_interpolation,
    spin_scaled,
    spins,
    wigner_seitz,
)
from jqc.xc.gga import PBE_BETA, PBE_GAMMA
from jqc.xc.lda import pw92_per_particle

_MU = 10 / 81  # second-order gradient expansion of exchange
_K1 = 0.065
_H0X = 1.174  # enhancement of one and two electrons
_A1 = 4.9479

_ETA = 0.001
_DAMPING = 1 / 0.361**4


class _Switch(NamedTuple):
    """f(α): exp(−c₁α/(1−α)) at small α, −d exp(c₂/(1−α)) at large α, and r²SCAN's polynomial between."""

    c1: float
    c2: float
    d: float
    middle: tuple[float, ...]

    @property
    def slope(self) -> float:
        """df/dα at α = 1 of the polynomial."""
        return sum(n * c for n, c in enumerate(self.middle))


_EXCHANGE = _Switch(
    *(0.667, 0.8, 1.24),
    (
        1,
        -0.667,
        -0.4445555,
        -0.663086601049,
        1.451297044490,
        -0.887998041597,
        0.234528941479,
        -0.023185843322,
    ),
)
_CORRELATION = _Switch(
    *(0.64, 1.5, 0.7),
    (1, -0.64, -0.4352, -1.535685604549, 3.061560252175, -1.915710236206, 0.516884468372, -0.051848879792),
)


def _switch_tails(alpha: Float[Array, "*grid"], tail: Bool[Array, "*grid"], switch: _Switch) -> Float[Array, "*grid"]:
    """Both exponentials of f(α), where `tail` says that α is away from 1; elsewhere a finite placeholder."""
    over = 1 / (1 - jnp.where(tail, alpha, 3.0))
    below = over > 0
    exponent = jnp.where(below, switch.c1 - switch.c1 * over, switch.c2 * over)
    return jnp.where(below, 1.0, -switch.d) * jnp.exp(exponent)


_SCAN_FLAT = 2e-3  # closer to α = 1, f and its derivatives are below 1e-100 but made of diverging factors


def _scan_switch(alpha: Float[Array, "*grid"], switch: _Switch) -> Float[Array, "*grid"]:
    """SCAN's f(α), with an essential singularity at α = 1 where all its derivatives vanish; SCAN, eq. 9."""
    tail = jnp.abs(1 - alpha) > _SCAN_FLAT
    return jnp.where(tail, _switch_tails(alpha, tail, switch), 0.0)


def _r2scan_switch(alpha: Float[Array, "*grid"], switch: _Switch) -> Float[Array, "*grid"]:
    """r²SCAN's f(α): a polynomial on 0 < α ≤ 2.5, SCAN's exponentials outside; r²SCAN, eqs. S7, S26."""
    tail = (alpha <= 0) | (alpha > 2.5)
    middle = polynomial(jnp.where(tail, 1.0, alpha), switch.middle)
    return jnp.where(tail, _switch_tails(alpha, tail, switch), middle)


def _kinetic(
    rho: Float[Array, "*grid"], sigma: Float[Array, "*grid"], tau: Float[Array, "*grid"]
) -> tuple[Float[Array, "*grid"], ...]:
    """s², (τ − τ_W)/τ_uniform and τ_W/τ_uniform = 5s²/3."""
    root = cbrt(rho)
    s2 = S2 * reduced_gradient_squared(rho, sigma)
    weizsaecker = (5 / 3) * s2
    return s2, tau / (TAU_UNIFORM * rho * (root * root)) - weizsaecker, weizsaecker


def _slowly_varying(x: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """h₁(x) = 1 + k₁ − k₁/(1 + x/k₁); SCAN, eq. 5."""
    return 1 + _K1 * x / (_K1 + x)


def _large_gradient(s2: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """g(s) = 1 − exp(−a₁/√s); SCAN, eq. 8. It is one to 1e-120 below s² = 1e-7, where roots stop."""
    return 1 - jnp.exp(-_A1 / jnp.sqrt(jnp.sqrt(jnp.maximum(s2, 1e-7))))


_R2_C2 = -_EXCHANGE.slope * (1 - _H0X)
_R2_CETA = 20 / 27 + _ETA * 5 / 3


def r2scan_x(density: Density) -> Float[Array, "*grid"]:
    """r²SCAN exchange, e_x^LDA [h₁ + f(ᾱ)(h₀ − h₁)] g(s) with ᾱ = (τ − τ_W)/(τ_uniform + ητ_W).

    Furness, Kaplan, Ning, Perdew & Sun, J. Phys. Chem. Lett. 11, 8208 (2020), eqs. S3–S13,
    doi:10.1021/acs.jpclett.0c02405.
    """

    def closed_shell(rho, sigma, tau):
        s2, excess, weizsaecker = _kinetic(rho, sigma, tau)
        f = _r2scan_switch(excess / (1 + _ETA * weizsaecker), _EXCHANGE)
        h1 = _slowly_varying((_R2_CETA * _R2_C2 * jnp.exp(-_DAMPING * s2 * s2) + _MU) * s2)
        return SLATER * rho_four_thirds(rho) * (h1 + f * (_H0X - h1)) * _large_gradient(s2)

    return spin_scaled(closed_shell, density)


_B2 = sqrt(5913 / 405000)
_B1 = (511 / 13500) / (2 * _B2)
_B3 = 0.5
_B4 = _MU**2 / _K1 - 1606 / 18225 - _B1**2


def scan_x(density: Density) -> Float[Array, "*grid"]:
    """SCAN exchange, e_x^LDA [h₁ + f(α)(h₀ − h₁)] g(s) with α = (τ − τ_W)/τ_uniform.

    Sun, Ruzsinszky & Perdew, Phys. Rev. Lett. 115, 036402 (2015), eqs. 4–9 and supplement,
    doi:10.1103/PhysRevLett.115.036402.
    """

    def closed_shell(rho, sigma, tau):
        s2, alpha, _ = _kinetic(rho, sigma, tau)
        f = _scan_switch(alpha, _EXCHANGE)
        away = 1 - alpha
        mixed = _B1 * s2 + _B2 * away * jnp.exp(-_B3 * away * away)
        x = s2 * (_MU + _B4 * s2 * jnp.exp((-_B4 / _MU) * s2)) + mixed * mixed
        h1 = _slowly_varying(x)
        return SLATER * rho_four_thirds(rho) * (h1 + f * (_H0X - h1)) * _large_gradient(s2)

    return spin_scaled(closed_shell, density)


_B1C, _B2C, _B3C = 0.0285764, 0.0889, 0.125541
_CHI = 0.12802585262625815  # χ_∞, the s → ∞ limit of the gradient term
_G_SPIN = 2.363 * (2 ** (1 / 3) - 1)


def _spin_limit(spin: Spins) -> Float[Array, "*grid"]:
    """G_c(ζ) = [1 − 2.363(2^{1/3} − 1) f(ζ)](1 − ζ¹²); SCAN, supplement."""
    zeta2 = spin.zeta * spin.zeta
    # 1 − ζ¹² in factors, (1 − ζ²)(1 + ζ² + ζ⁴)(1 + ζ⁶): exact near ζ = ±1.
    closed = spin.up * spin.down * (1 + zeta2 + zeta2 * zeta2) * (1 + zeta2 * zeta2 * zeta2)
    return (1 - _G_SPIN * spin_interpolation(spin)) * closed


def _lda0(rho: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """ε_c^LDA0 = −b₁/(1 + b₂√r_s + b₃r_s), the high-density two-electron limit; SCAN, supplement."""
    rs = wigner_seitz(rho)
    return -_B1C / (1 + _B2C * jnp.sqrt(rs) + _B3C * rs)


def _fourth_root_over(x: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """(1 + 4x)^{−1/4}."""
    return 1 / jnp.sqrt(jnp.sqrt(1 + 4 * x))


def _single_orbital(
    lda0: Float[Array, "*grid"], s2: Float[Array, "*grid"], limit: Float[Array, "*grid"]
) -> Float[Array, "*grid"]:
    """ε⁰ = (ε^LDA0 + b₁ ln[1 + w₀(1 − g_∞)]) G_c with w₀ = exp(−ε^LDA0/b₁) − 1; SCAN, supplement.

    The two terms cancel at large s, so they are one logarithm: b₁ ln[1 + g_∞(exp(ε^LDA0/b₁) − 1)].
    """
    return _B1C * jnp.log1p(_fourth_root_over(_CHI * s2) * jnp.expm1(lda0 / _B1C)) * limit


class _Uniform(NamedTuple):
    """Homogeneous-gas quantities that ε¹ of both functionals is built from."""

    scale: Float[Array, "*grid"]
    """γφ³."""
    decay: Float[Array, "*grid"]
    """exp(ε_c/γφ³) − 1."""
    over_w1: Float[Array, "*grid"]
    """1/w₁ = 1/(exp(−ε_c/γφ³) − 1)."""
    y: Float[Array, "*grid"]
    """β(r_s)t²/(γw₁)."""


def _uniform(spin: Spins, epsilon: Float[Array, "*grid"], s2: Float[Array, "*grid"]) -> _Uniform:
    """The gradient variable y = β(r_s)t²/(γw₁), t² = (3π²/16)^{2/3} s²/(φ²r_s), and what it needs."""
    rs = wigner_seitz(spin.rho)
    factor = phi(spin)
    scale = PBE_GAMMA * (factor * factor * factor)
    decay = jnp.expm1(epsilon / scale)
    over_w1 = -(1 + decay) / decay
    t2 = (3 * pi**2 / 16) ** (2 / 3) * s2 / (factor * factor * rs)
    beta = PBE_BETA * (1 + 0.1 * rs) / (1 + 0.1778 * rs)
    return _Uniform(scale, decay, over_w1, beta / PBE_GAMMA * t2 * over_w1)


def _many_orbitals(uniform: _Uniform, y: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """ε¹ = ε_c + γφ³ ln[1 + w₁(1 − g)] with g = (1 + 4y)^{−1/4}, as one logarithm like `_single_orbital`."""
    return uniform.scale * jnp.log1p(_fourth_root_over(y) * uniform.decay)


def _total_kinetic(spin: Spins, density: Density) -> tuple[Float[Array, "*grid"], ...]:
    """`_kinetic` of the total density, and d_s(ζ) = ½[(1+ζ)^{5/3} + (1−ζ)^{5/3}]."""
    up, down = cbrt(spin.up), cbrt(spin.down)
    polarised = 0.5 * (spin.up * (up * up) + spin.down * (down * down))
    tau = jnp.where(spin.here, density.tau[0] + density.tau[1], 1.0)
    return *_kinetic(spin.rho, spin.sigma, tau), polarised


def scan_c(density: Density) -> Float[Array, "*grid"]:
    """SCAN correlation, ρ[ε¹ + f(α)(ε⁰ − ε¹)].

    Sun, Ruzsinszky & Perdew, Phys. Rev. Lett. 115, 036402 (2015), eq. 10 and supplement,
    doi:10.1103/PhysRevLett.115.036402.
    """
    spin = spins(density)
    s2, excess, _, polarised = _total_kinetic(spin, density)
    uniform = _uniform(spin, pw92_per_particle(spin), s2)
    many = _many_orbitals(uniform, uniform.y)
    single = _single_orbital(_lda0(spin.rho), s2, _spin_limit(spin))
    epsilon = many + _scan_switch(excess / polarised, _CORRELATION) * (single - many)
    return jnp.where(spin.here, spin.rho * epsilon, 0.0)


def _y_correction(gap, slope, uniform, s2, polarised):
    """Δy, which restores the second-order gradient expansion.

    Δy = f'(1) {20 r_s d(ε⁰−ε¹)/dr_s − 45η(ε⁰−ε¹)} s² exp(−s⁴/d_p⁴)/(27γd_sφ³w₁), r²SCAN, eq. S34; `gap` is
    ε⁰ − ε¹ of the homogeneous gas, `slope` its r_s derivative times r_s.
    """
    strength = (_CORRELATION.slope / 27) * (20 * slope - 45 * _ETA * gap)
    return strength * uniform.over_w1 / (uniform.scale * polarised) * s2 * jnp.exp(-_DAMPING * s2 * s2)


def r2scan_c(density: Density) -> Float[Array, "*grid"]:
    """r²SCAN correlation, ρ[ε¹ + f(ᾱ)(ε⁰ − ε¹)] with ᾱ = (τ − τ_W)/(d_sτ_uniform + ητ_W).

    Furness, Kaplan, Ning, Perdew & Sun, J. Phys. Chem. Lett. 11, 8208 (2020), eqs. S24–S41,
    doi:10.1021/acs.jpclett.0c02405.
    """
    spin = spins(density)
    s2, excess, weizsaecker, polarised = _total_kinetic(spin, density)

    def gas(rho):
        return _lda0(rho), pw92_per_particle(spin._replace(rho=rho))

    # r_s d/dr_s = −3ρ d/dρ at fixed ζ
    (lda0, lda1), (slope0, slope1) = jax.jvp(gas, (spin.rho,), (-3 * spin.rho,))
    limit = _spin_limit(spin)
    uniform = _uniform(spin, lda1, s2)
    correction = _y_correction(limit * lda0 - lda1, limit * slope0 - slope1, uniform, s2, polarised)
    many = _many_orbitals(uniform, uniform.y - correction)
    single = _single_orbital(lda0, s2, limit)
    f = _r2scan_switch(excess / (polarised + _ETA * weizsaecker), _CORRELATION)
    return jnp.where(spin.here, spin.rho * (many + f * (single - many)), 0.0)
