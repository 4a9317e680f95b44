"""NN-mGGA: one network for exchange and correlation together, per particle and never positive."""

from math import e, log

import flax.linen as nn
import jax
import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Density, Quadrature, integrate
from jqc.xc.features import rho_four_thirds, spins
from jqc.xc.neural.features import (
    exchange_spin_factor,
    kinetic_ratio,
    log_density,
    log_one_plus,
    slope_squared,
)
from jqc.xc.neural.mlp import Mlp

UNIFORM = 0.84
"""−ε_xc/ρ^{1/3} of the unpolarised uniform gas near r_s = 1; 0.80 at r_s = ½, 0.88 at r_s = 2 (Perdew & Wang 1992)."""


def smooth_elu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """ln(1 + (e − 1)eˣ) − 1: zero at zero, between −1 and x as ELU is, without the step in ELU's second derivative."""
    return jax.nn.softplus(x + log(e - 1)) - 1


class NNMGGA(nn.Module):
    """ε_xc = −0.84 (1 + ELU(net)) ρ^{1/3} ½[(1+ζ)^{4/3} + (1−ζ)^{4/3}] ≤ 0, E_xc = ∫ ρ ε_xc.

    The net reads logarithms of ρ^{1/3}, the spin factor, 1 + s² and 1 + τ/τ_unif of the whole density. The prefactor
    makes an untrained one nearly the local-density approximation. Two deviations keep the kernel continuous: ELU is a
    softplus with ELU's limits, here and between layers, and slopes and τ enter through ln(1 + x). Nagai, Akashi &
    Sugino, npj Comput. Mater. 6, 43 (2020), doi:10.1038/s41524-020-0310-0.

    Parameters
    ----------
    width, depth
        Hidden layers, as published.
    """

    width: int = 100
    depth: int = 3
    ingredients = "tau"
    exchange = ()
    local = True

    @nn.compact
    def __call__(self, density: Density, quadrature: Quadrature) -> Float[Array, ""]:
        """Exchange-correlation energy in hartree."""
        spin = spins(density)
        tau = jnp.where(spin.here, density.tau[0] + density.tau[1], 1.0)
        factor = exchange_spin_factor(spin)
        inputs = [
            log_density(spin.rho),
            jnp.log(factor),
            log_one_plus(slope_squared(spin.rho, spin.sigma)),
            log_one_plus(kinetic_ratio(spin.rho, tau)),
        ]
        net = Mlp(self.width, self.depth, smooth_elu)(jnp.stack(inputs, axis=-1))
        energy = -UNIFORM * (1 + smooth_elu(net)) * rho_four_thirds(spin.rho) * factor
        return integrate(jnp.where(spin.here, energy, 0.0), quadrature)
