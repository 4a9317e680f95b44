"""Pointwise building blocks that every closed form shares: guards, spin factors, smooth roots.

Potentials and kernels come from automatic differentiation only, so all that stands here has finite
derivatives of every order at every density: roots are taken of guarded arguments, and both branches of a
`where` are safe.
"""

from collections.abc import Callable, Iterable
from functools import partial, reduce
from math import pi
from operator import add
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jqc.typing import Array, Bool, Float
from jqc.xc.base import Density

FERMI = (3 * pi**2) ** (1 / 3)
"""k_F = FERMI·ρ^{1/3} of the homogeneous gas."""

TAU_UNIFORM = 0.3 * FERMI**2
"""τ of the homogeneous gas is TAU_UNIFORM·ρ^{5/3}."""

SLATER = -0.75 * (3 / pi) ** (1 / 3)
"""Exchange of the homogeneous gas is SLATER·ρ^{4/3} per volume."""

S2 = 1 / (2 * FERMI) ** 2
"""s² = S2·σ/ρ^{8/3}."""

F_CURVATURE = 8 / (9 * (2 ** (4 / 3) - 2))
"""f''(0) of the spin interpolation f(ζ)."""

Pointwise = Callable[[Array, Array, Array], Array]


@jax.custom_jvp
def cbrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x^{1/3} of x > 0: exp(log x / 3) and one Newton step, exact to a rounding, faster than jnp.cbrt."""
    root = jnp.exp(jnp.log(x) * (1 / 3))
    return root - (root - x / (root * root)) * (1 / 3)


@cbrt.defjvp
def _cbrt_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    root = cbrt(x)
    return root, dx * root / (3 * x)


def density_threshold(dtype) -> float:
    """Densities below this are vacuum: 1e-15 as in libxc, 3e-8 in single precision.

    Second derivatives by σ grow as ρ⁻⁴ and the products on the way to them as ρ⁻⁵, which has to stay in range.
    """
    return max(1e-15, float(jnp.finfo(dtype).tiny) ** 0.2)


def present(rho: Float[Array, "*grid"]) -> Bool[Array, "*grid"]:
    """Where a density is not vacuum."""
    return rho > density_threshold(rho.dtype)


def total(terms: Iterable[Float[Array, "*grid"]]) -> Float[Array, "*grid"]:
    """Sum of arrays, at least one."""
    return reduce(add, terms)


def spin_scaled(exchange: Pointwise, density: Density) -> Float[Array, "*grid"]:
    """Spin-resolved exchange from the closed-shell one, E_x[ρα, ρβ] = ½ Σ_σ E_x[2ρσ].

    `exchange(rho, sigma, tau)` sees ρ = 2ρσ, σ = 4σσσ and τ = 2τσ, never a vacuum, which contributes exactly
    zero. Equal arrays for both spins compile into one evaluation. Oliver & Perdew, Phys. Rev. A 20, 397
    (1979), doi:10.1103/PhysRevA.20.397.
    """
    return total(
        per_spin(
            lambda rho, sigma, tau: 0.5 * exchange(2 * rho, 4 * sigma, 2 * tau),
            density.rho[spin],
            density.sigma[2 * spin],
            density.tau[spin],
        )
        for spin in (0, 1)
    )


def per_spin(
    function: Pointwise, rho: Float[Array, "*grid"], sigma: Float[Array, "*grid"], tau: Float[Array, "*grid"]
) -> Float[Array, "*grid"]:
    """`function(rho, sigma, tau)` of one spin density where it is present, exactly zero in vacuum."""
    here = present(rho)
    value = function(jnp.where(here, rho, 1.0), jnp.where(here, sigma, 0.0), jnp.where(here, tau, 1.0))
    return jnp.where(here, value, 0.0)


class Spins(NamedTuple):
    """Total density and spin polarisation, guarded: where `here` is false, `rho` is 1 and `zeta` 0.

    `up` = 1 + ζ and `down` = 1 − ζ come from 2ρσ/ρ, so a small minority density keeps all its digits; both
    are held a rounding above zero, where the derivatives of their fractional powers would diverge.
    """

    here: Bool[Array, "*grid"]
    rho: Float[Array, "*grid"]
    zeta: Float[Array, "*grid"]
    up: Float[Array, "*grid"]
    down: Float[Array, "*grid"]
    sigma: Float[Array, "*grid"]
    """|∇ρ|² of the total density."""


def spins(density: Density) -> Spins:
    """Total density, ζ = (ρα − ρβ)/ρ and |∇ρ|², guarded."""
    here = present(density.rho[0] + density.rho[1])
    alpha, beta = jnp.where(here, density.rho[0], 0.5), jnp.where(here, density.rho[1], 0.5)
    sigma = density.sigma[0] + 2 * density.sigma[1] + density.sigma[2]
    rho = alpha + beta
    over = 1 / rho
    floor = jnp.finfo(rho.dtype).eps
    return Spins(
        here=here,
        rho=rho,
        zeta=(alpha - beta) * over,
        up=jnp.maximum(2 * alpha * over, floor),
        down=jnp.maximum(2 * beta * over, floor),
        sigma=jnp.where(here, sigma, 0.0),
    )


def wigner_seitz(rho: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """Wigner–Seitz radius r_s = (3/4πρ)^{1/3} of a positive density."""
    return (3 / (4 * pi)) ** (1 / 3) / cbrt(rho)


def spin_interpolation(spin: Spins) -> Float[Array, "*grid"]:
    """f(ζ) = [(1+ζ)^{4/3} + (1−ζ)^{4/3} − 2]/(2^{4/3} − 2), zero for closed shells and one when polarised."""
    powers = spin.up * cbrt(spin.up) + spin.down * cbrt(spin.down)
    return (powers - 2) * (1 / (2 ** (4 / 3) - 2))


def phi(spin: Spins) -> Float[Array, "*grid"]:
    """φ(ζ) = ½[(1+ζ)^{2/3} + (1−ζ)^{2/3}], the spin-scaling factor of gradient corrections to correlation."""
    up, down = cbrt(spin.up), cbrt(spin.down)
    return 0.5 * (up * up + down * down)


def reduced_gradient_squared(rho: Float[Array, "*grid"], sigma: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """x² = σ/ρ^{8/3} of a positive density, by a reciprocal so that single precision does not underflow."""
    over = 1 / rho_four_thirds(rho)
    return sigma * over * over


def rho_four_thirds(rho: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """ρ^{4/3} of a positive density."""
    return rho * cbrt(rho)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def polynomial(x: Float[Array, "..."], coefficients: tuple[float, ...]) -> Float[Array, "..."]:
    """Σ_n c_n xⁿ by Horner's rule, constant term first.

    Its derivative is declared as the polynomial of the derivative, so that a program holds one short chain
    for each order of derivative and reverse mode stores no partial sums.
    """
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


@polynomial.defjvp
def _polynomial_jvp(coefficients, primals, tangents):
    (x,), (dx,) = primals, tangents
    slope = tuple(n * coefficient for n, coefficient in enumerate(coefficients))[1:] or (0.0,)
    return polynomial(x, coefficients), dx * polynomial(x, slope)


def _asinh_series(terms: int) -> tuple[float, ...]:
    """Taylor coefficients of asinh(x)/x in x²."""
    ratio = [-((2 * n - 1) ** 2) / (2 * n * (2 * n + 1)) for n in range(1, terms)]
    return tuple(float(c) for c in np.cumprod([1.0, *ratio]))


_ASINH = _asinh_series(18)
_ASINH_SERIES_BELOW = 0.1  # above it the closed form keeps twelve digits in the third derivative


def x_asinh_x(x2: Float[Array, "..."]) -> Float[Array, "..."]:
    """x·asinh(x) as a smooth function of x² ≥ 0, by its Taylor series near zero where √ has no derivative."""
    small = x2 < _ASINH_SERIES_BELOW
    near = jnp.where(small, x2, 0.0)
    far = jnp.where(small, 1.0, x2)
    root = jnp.sqrt(far)
    closed = root * jnp.log(root + jnp.sqrt(1 + far))
    return jnp.where(small, near * polynomial(near, _ASINH), closed)
