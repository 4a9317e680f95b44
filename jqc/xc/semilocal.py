"""Closed-form functionals: a sum of named pointwise components with exact exchange beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import get_args

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc import attenuated, b97, gga, lda, m06, mgga, scan
from jqc.xc.base import Density, Ingredients, Quadrature, integrate

Component = Callable[[Density], Float[Array, "*grid"]]

COMPONENTS: dict[str, tuple[Component, Ingredients]] = {
    "slater": (lda.slater, "rho"),
    "vwn5": (lda.vwn5, "rho"),
    "vwn_rpa": (lda.vwn_rpa, "rho"),
    "pw92": (lda.pw92, "rho"),
    "pw92_mod": (lda.pw92_mod, "rho"),
    "pz81": (lda.pz81, "rho"),
    "pbe_x": (gga.pbe_x, "sigma"),
    "revpbe_x": (gga.revpbe_x, "sigma"),
    "rpbe_x": (gga.rpbe_x, "sigma"),
    "pbesol_x": (gga.pbesol_x, "sigma"),
    "b88": (gga.b88, "sigma"),
    "pbe_c": (gga.pbe_c, "sigma"),
    "pbesol_c": (gga.pbesol_c, "sigma"),
    "lyp": (gga.lyp, "sigma"),
    "p86": (gga.p86, "sigma"),
    "b88_sr033": (attenuated.b88_sr033, "sigma"),
    "wpbe_x": (attenuated.wpbe_x, "sigma"),
    "wpbe_sr011": (attenuated.wpbe_sr011, "sigma"),
    "wb97x_xc": (b97.wb97x, "sigma"),
    "tpss_x": (mgga.tpss_x, "tau"),
    "tpss_c": (mgga.tpss_c, "tau"),
    "scan_x": (scan.scan_x, "tau"),
    "scan_c": (scan.scan_c, "tau"),
    "r2scan_x": (scan.r2scan_x, "tau"),
    "r2scan_c": (scan.r2scan_c, "tau"),
    "m06l_x": (m06.m06l_x, "tau"),
    "m06l_c": (m06.m06l_c, "tau"),
}
"""Every component by name, with the density features it reads."""

_RANK: tuple[Ingredients, ...] = get_args(Ingredients)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Semilocal:
    """E_xc = Σ_i c_i ∫ e_i(ρ, σ, τ) dr, plus `exchange`, the exact exchange that the SCF adds.

    Parameters
    ----------
    name
        What the functional calls itself in reports.
    terms
        Pairs of a name in `COMPONENTS` and its coefficient.
    exchange
        Pairs (ω, coefficient) as in `Functional.exchange`.

    >>> Semilocal("pbe", (("pbe_x", 1.0), ("pbe_c", 1.0))).ingredients
    'sigma'
    """

    name: str = field(metadata={"static": True})
    terms: tuple[tuple[str, float], ...] = field(metadata={"static": True})
    exchange: tuple[tuple[float, float], ...] = field(default=(), metadata={"static": True})

    @property
    def ingredients(self) -> Ingredients:
        """The most that any of the components reads."""
        return _RANK[max((_RANK.index(COMPONENTS[name][1]) for name, _ in self.terms), default=0)]

    @property
    def local(self) -> bool:
        """Every component is an integral over points."""
        return True

    def energy_density(self, density: Density) -> Float[Array, "*grid"]:
        """Exchange-correlation energy per volume at every point, in hartree/bohr³, without exact exchange."""
        parts = [coefficient * COMPONENTS[name][0](density) for name, coefficient in self.terms]
        return sum(parts, start=jnp.zeros_like(density.rho[0]))

    def energy(self, density: Density, quadrature: Quadrature) -> Float[Array, ""]:
        """Exchange-correlation energy in hartree, without exact exchange."""
        return integrate(self.energy_density(density), quadrature)
