"""Range-separated exchange: the short-range part of Becke's exchange and of the PBE exchange hole.

The attenuated interaction is erfc(ωr)/r. Both closed forms cancel to a few digits where the density is low;
here they are series, continued fractions and moments instead, so that three derivatives keep their digits.
"""

from fractions import Fraction
from math import factorial, gamma, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np

from jqc.typing import Array, Float
from jqc.xc.base import Density
from jqc.xc.features import FERMI, S2, SLATER, cbrt, polynomial, reduced_gradient_squared, spin_scaled
from jqc.xc.gga import b88_enhancement

_ATTENUATION = tuple(
    (-1) ** m * (4 / (3 * factorial(m + 1)) + 2 / (3 * factorial(m + 2)) - 8 / (3 * factorial(m) * (2 * m + 1)))
    for m in range(1, 22)
)
"""Taylor coefficients of `attenuation`(u)/u."""


def attenuation(u: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """Share of LDA exchange left by erfc(ωr)/r, as a smooth function of u = (k/ω)² ≥ 0.

    With a = 1/(2√u): 1 − (8/3)a[√π erf(1/2a) + (2a − 4a³)e^{−1/4a²} − 3a + 4a³], by its Taylor series below
    u = 1. Toulouse, Savin & Flad, Int. J. Quantum Chem. 100, 1047 (2004), eq. 11, doi:10.1002/qua.20259.
    """
    small = u < 1
    near, far = jnp.where(small, u, 0.0), jnp.where(small, 1.0, u)
    root, over = jnp.sqrt(far), 1 / far
    decay = jnp.exp(-far)
    bracket = (2 * sqrt(pi) * root) * jax.scipy.special.erf(root) + 2 * decay - 3 - over * (decay - 1)
    return jnp.where(small, near * polynomial(near, _ATTENUATION), 1 - (2 / 3) * over * bracket)


def b88_short_range(density: Density, omega: float) -> Float[Array, "*grid"]:
    """Becke's exchange for erfc(ωr)/r: e_x^LDA F(s²) att(u), u = (k_F/ω)²/F.

    Iikura, Tsuneda, Yanai & Hirao, J. Chem. Phys. 115, 3540 (2001), eqs. 8–10, doi:10.1063/1.1383587.
    """

    def closed_shell(rho, sigma, tau):
        root = cbrt(rho)
        enhancement = b88_enhancement(S2 * reduced_gradient_squared(rho, sigma))
        u = (FERMI / omega) ** 2 * root * root / enhancement
        return SLATER * rho * root * enhancement * attenuation(u)

    return spin_scaled(closed_shell, density)


def b88_sr033(density: Density) -> Float[Array, "*grid"]:
    """Short-range Becke exchange at ω = 0.33, as in CAM-B3LYP.

    Yanai, Tew & Handy, Chem. Phys. Lett. 393, 51 (2004), doi:10.1016/j.cplett.2004.06.011.
    """
    return b88_short_range(density, 0.33)


_FRACTION_ABOVE = 4.0
_FRACTION_LEVELS = 28  # 3e-15 at x = 4, better above
_EULER = 0.57721566490153286


def _stieltjes(alpha: Fraction, levels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Convergent p/q in 1/x of x∫v^α e^{−v}/(x+v)dv/Γ(α+1); all coefficients are positive, so it is stable.

    Its continued fraction has b_k = 2k + 1 + α and a_k = k(k + α): DLMF §8.9, https://dlmf.nist.gov/8.9.
    """
    p_last, p = [Fraction(0)], [Fraction(1)]
    q_last, q = [Fraction(1)], [alpha + 1, Fraction(1)]

    def advance(k: int, last: list[Fraction], previous: list[Fraction]) -> list[Fraction]:
        shifted = [Fraction(0), *last]
        for i, c in enumerate(last):
            shifted[i] += (2 * k + 1 + alpha) * c
        for i, c in enumerate(previous):
            shifted[i] -= k * (k + alpha) * c
        return shifted

    for k in range(1, levels):
        p_last, p = p, advance(k, p, p_last)
        q_last, q = q, advance(k, q, q_last)
    return tuple(float(c) for c in reversed(p)), tuple(float(c) for c in reversed(q))


_FRACTION_8 = _stieltjes(Fraction(3), _FRACTION_LEVELS)
_FRACTION_7 = _stieltjes(Fraction(5, 2), _FRACTION_LEVELS)
_HARMONIC = tuple(float(h) / factorial(k) for k, h in enumerate(np.cumsum([0, *(1 / np.arange(1, 32))])))
"""H_k/k!: e^x Ein(x) = Σ_k H_k x^k/k!."""


def _moments_large(x: Float[Array, "*grid"]) -> list[Float[Array, "*grid"]]:
    """Moments g_n(x) = ∫₀^∞ v^{n/2−1} e^{−v} x/(x+v) dv, n = 1 … 8, for x ≥ 4.

    Two continued fractions, then g_n = Γ(n/2) − g_{n+2}/x downwards, which is stable here.
    """
    over = 1 / x
    g = {}
    for n, (p, q) in ((7, _FRACTION_7), (8, _FRACTION_8)):
        g[n] = gamma(n / 2) * polynomial(over, p) / polynomial(over, q)
    for n in range(6, 0, -1):
        g[n] = gamma(n / 2) - g[n + 2] * over
    return [g[n] for n in range(1, 9)]


def _moments_small(x: Float[Array, "*grid"]) -> tuple[Float[Array, "*grid"], list[Float[Array, "*grid"]]]:
    """The sum ln x + e^x E₁(x), regular but for x ln x, and g_1 … g_8 for x < 4.

    e^x E₁ = Σ_k H_k x^k/k! − e^x(γ + ln x), then g_{n+2} = x(Γ(n/2) − g_n) upwards, which is stable here.
    """
    logarithm, grown = jnp.log(x), jnp.exp(x)
    series = polynomial(x, _HARMONIC)
    root = jnp.sqrt(x)
    g = [pi * root * grown * jax.scipy.special.erfc(root), x * (series - grown * (_EULER + logarithm))]
    for n in range(1, 7):
        g.append(x * (gamma(n / 2) - g[n - 1]))
    return series - _EULER * grown - jnp.expm1(x) * logarithm, g


_A, _B, _C, _D, _E = 1.0161144, -0.37170836, -0.077215461, 0.57786348, -0.051955731
_ERFC_FIT = (
    -1.128223946706117,
    1.452736265762971,
    -1.243162299390327,
    0.971824836115601,
    -0.568861079687373,
    0.246880514820192,
    -0.065032363850763,
    0.008401793031216,
)
"""erfc(z) ≈ e^{−bz²}(1 + Σ_i a_i zⁱ), b = 1.4559; HSE 2003, eq. A2."""
_ERFC_DECAY = 1.455915450052607
_ERFC_FIT_BELOW = 14.0  # in w = ω/k_F; above it erfc(z) ≈ e^{−2z²}
_HOLE_SERIES_BELOW = 0.08  # in s


def _bounded_s2(s2: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """s² with s held below 8.57, beyond which the hole violates the Lieb–Oxford bound."""
    ceiling = 8.572844
    s = jnp.sqrt(jnp.where(s2 > 1, s2, 1.0))
    inner = jnp.minimum(s, 15.0)
    bounded = jnp.where(s > 15, ceiling, inner - jnp.log1p(jnp.exp(inner - ceiling)))
    return jnp.where(s2 < 1, s2, bounded * bounded)


def _hole_shape(s2: Float[Array, "*grid"]) -> tuple[Float[Array, "*grid"], ...]:
    """s²H(s), C(1 + s²F(s)) and E + s²G(s) of the PBE hole; Ernzerhof & Perdew 1998, eqs. 24–26."""
    tiny = s2 < 1e-30  # the odd power s⁵ has no third derivative at zero
    s = jnp.where(tiny, 0.0, jnp.sqrt(jnp.where(tiny, 1.0, s2)))
    s4 = s2 * s2
    h = (0.00979681 + 0.0410834 * s2) / (1 + s4 * (0.187440 + 0.00120824 * s + 0.0347188 * s2))
    s2h = s4 * h
    c = _C * (1 + s2 * (6.4753871 * s2 * h + 0.47965830))
    d = _D + s2h
    near = _E + s2 * polynomial(s2, (-0.02628417880, -0.07117647788, 0.08534541323))
    root = s2 * jnp.sqrt((9 / (4 * _A)) * h)
    tail = 1 - sqrt(_A) * jnp.exp(root * root) * jax.scipy.special.erfc(root)
    far = -(d / 15) * (6 * c + d * (4 * _B + 8 * _A * d)) - (0.8 * sqrt(pi)) * d * d * d * jnp.sqrt(d) * tail
    return s2h, c, jnp.where(s2 > _HOLE_SERIES_BELOW**2, far, near)


def _smooth_part(
    d: Float[Array, "*grid"],
    c: Float[Array, "*grid"],
    e: Float[Array, "*grid"],
    w: Float[Array, "*grid"] | float,
) -> Float[Array, "*grid"]:
    """The hole's B, C and E terms under erfc(wy): HSE 2003, terms 2–5, with r = w/√(d + w²)."""
    over, over_w = 1 / d, 1 / (d + w * w)
    r = w * jnp.sqrt(over_w)
    r2 = r * r
    whole = 0.5 * over * (_B + over * (c + 2 * over * e))
    third = -0.125 * r * over * (4 * _B + over_w * (6 * c + 15 * over_w * e))
    return whole + third - r * r2 * over * over * (0.5 * (c + 5 * over_w * e) + r2 * over * e)


def _long_part(s2h: Float[Array, "*grid"], w: Float[Array, "*grid"] | None) -> Float[Array, "*grid"]:
    """The hole's A term under the fit of erfc(wy); w = None is the full interaction.

    −(A/2){ln(1 + D/b) − e^x E₁(x) + Σ_i a_i[κⁱ g_i(x) − Γ(i/2) λⁱ]}, where b = s²H + 1.456w², x = 9b/4A,
    κ² = w²/b, λ² = w²/(D + b): the published terms collected by powers of w, each of them bounded.
    """
    fitted = jnp.zeros_like(s2h, bool) if w is None else w < _ERFC_FIT_BELOW
    b = s2h if w is None else s2h + jnp.where(fitted, _ERFC_DECAY, 2.0) * w * w
    x = (9 / (4 * _A)) * b
    small = x < _FRACTION_ABOVE
    regular, near = _moments_small(jnp.where(small, jnp.maximum(x, 1e-30), 1.0))
    over = 1 / jnp.where(small, 1.0, x)
    far = _moments_large(jnp.where(small, _FRACTION_ABOVE, x))
    logarithm = jnp.where(
        small,
        jnp.log((9 / (4 * _A)) * (_D + b)) - regular,
        jnp.log1p((9 / (4 * _A)) * _D * over) - far[1] * over,
    )
    if w is None:
        return -0.5 * _A * logarithm
    bounded = jnp.where(fitted, w, 1.0)
    kappa = bounded / jnp.sqrt(jnp.where(fitted, b, 1.0))
    lam = bounded / jnp.sqrt(_D + jnp.where(fitted, b, 1.0))
    moments = [jnp.where(small, n, f) for n, f in zip(near, far, strict=True)]
    fit = _fitted_sum(kappa, lam, moments)
    return -0.5 * _A * (logarithm + jnp.where(fitted, fit, 0.0))


def _fitted_sum(
    kappa: Float[Array, "*grid"], lam: Float[Array, "*grid"], moments: list[Float[Array, "*grid"]]
) -> Float[Array, "*grid"]:
    """Σ_i a_i[κⁱ g_i − Γ(i/2) λⁱ] by Horner's rule."""
    first = second = jnp.zeros_like(kappa)
    for i in range(8, 0, -1):
        first = (first + _ERFC_FIT[i - 1] * moments[i - 1]) * kappa
        second = (second + _ERFC_FIT[i - 1] * gamma(i / 2)) * lam
    return first - second


def _hole_exchange(density: Density, omega: float) -> Float[Array, "*grid"]:
    """e_x^LDA F(s, w) with w = ω/k_F, F = −(8/9)·(the hole's energy terms); ω = 0 is the full interaction."""

    def closed_shell(rho, sigma, tau):
        root = cbrt(rho)
        w = omega / (FERMI * root) if omega else None
        s2h, c, e = _hole_shape(_bounded_s2(S2 * reduced_gradient_squared(rho, sigma)))
        smooth = _smooth_part(_D + s2h, c, e, 0.0 if w is None else w)
        return SLATER * rho * root * (-8 / 9) * (smooth + _long_part(s2h, w))

    return spin_scaled(closed_shell, density)


def wpbe_x(density: Density) -> Float[Array, "*grid"]:
    """Exchange of the PBE hole model at full range, which HSE uses in place of PBE exchange.

    Ernzerhof & Perdew, J. Chem. Phys. 109, 3313 (1998), eqs. 13–26, doi:10.1063/1.476928.
    """
    return _hole_exchange(density, 0.0)


def wpbe_sr011(density: Density) -> Float[Array, "*grid"]:
    """Short-range exchange of the PBE hole model at ω = 0.11, as in HSE06.

    Heyd, Scuseria & Ernzerhof, J. Chem. Phys. 118, 8207 (2003), appendix, doi:10.1063/1.1564060; with ω of
    Krukau, Vydrov, Izmaylov & Scuseria, J. Chem. Phys. 125, 224106 (2006), doi:10.1063/1.2404663.
    """
    return _hole_exchange(density, 0.11)
