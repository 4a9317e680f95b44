"""XCdiff: enhancements of the uniform gas's exchange and correlation that keep exact constraints by their form."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Density, Quadrature, integrate
from jqc.xc.features import SLATER, phi, rho_four_thirds, spin_scaled, spins
from jqc.xc.lda import PW92, PW92_F_CURVATURE, pw92_per_particle
from jqc.xc.neural.features import (
    below,
    indicator,
    indicator_feature,
    kinetic_spin_factor,
    log_density,
    slope_feature,
    slope_squared,
)
from jqc.xc.neural.mlp import Mlp

EXCHANGE_BOUND = 1.174
"""Largest F_x that two electrons of any density allow (Perdew, Ruzsinszky, Sun & Burke 2014)."""

CORRELATION_BOUND = 2.0


def _gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


class XCDiff(nn.Module):
    """E_xc = ½ Σ_σ E_x[2ρσ] + ∫ ρ ε_c^PW92 F_c, with E_x[ρ] = ∫ e_x^LDA F_x and F = L·σ(g·net − ln(L − 1)).

    The gate g = s̃ + tanh²α̃ vanishes for the uniform gas, where F = 1. L = 1.174 bounds F_x as the Lieb–Oxford bound of
    two electrons does; L = 2 for correlation keeps F_c between 0 and 2, so that ε_c ≤ 0. The exchange net reads s̃ and
    α̃ of 2ρσ but not ρ, which gives spin scaling and uniform coordinate scaling; the correlation net reads
    ln(ρ^{1/3} + 1e-5), ln φ(ζ), s̃ and α̃ of the whole density, α with the spin factor of τ_unif. An untrained one is
    the local-density approximation. Dick & Fernández-Serra, Phys. Rev. B 104, L161109 (2021),
    doi:10.1103/PhysRevB.104.L161109.

    Parameters
    ----------
    width, depth
        Hidden layers of each of the two nets, as published.
    """

    width: int = 16
    depth: int = 3
    ingredients = "tau"
    exchange = ()
    local = True

    def setup(self):
        """The two nets."""
        self.exchange_net = Mlp(self.width, self.depth, _gelu)
        self.correlation_net = Mlp(self.width, self.depth, _gelu)

    def __call__(self, density: Density, quadrature: Quadrature) -> Float[Array, ""]:
        """Exchange-correlation energy in hartree."""
        return integrate(self.energy_density(density), quadrature)

    def energy_density(self, density: Density) -> Float[Array, "*grid"]:
        """Exchange-correlation energy per volume in hartree/bohr³."""
        return self.exchange_density(density) + self.correlation_density(density)

    def exchange_density(self, density: Density) -> Float[Array, "*grid"]:
        """Exchange energy per volume, spin scaled."""

        def unpolarised(rho: Array, sigma: Array, tau: Array) -> Array:
            slope = slope_feature(slope_squared(rho, sigma))
            kinetic = indicator_feature(indicator(rho, sigma, tau))
            net = self.exchange_net(jnp.stack([slope, kinetic], axis=-1))
            return SLATER * rho_four_thirds(rho) * below(EXCHANGE_BOUND, _gate(slope, kinetic) * net)

        return spin_scaled(unpolarised, density)

    def correlation_density(self, density: Density) -> Float[Array, "*grid"]:
        """Correlation energy per volume."""
        spin = spins(density)
        tau = jnp.where(spin.here, density.tau[0] + density.tau[1], 1.0)
        slope = slope_feature(slope_squared(spin.rho, spin.sigma))
        # τ − τ_W is measured by τ_unif(ζ): the uniform gas has α = 1 at every polarisation.
        kinetic = indicator_feature(indicator(spin.rho, spin.sigma, tau) / kinetic_spin_factor(spin))
        inputs = [log_density(spin.rho), jnp.log(phi(spin)), slope, kinetic]
        net = self.correlation_net(jnp.stack(inputs, axis=-1))
        epsilon = pw92_per_particle(spin, PW92, PW92_F_CURVATURE) * below(
            CORRELATION_BOUND, _gate(slope, kinetic) * net
        )
        return jnp.where(spin.here, spin.rho * epsilon, 0.0)


def _gate(slope: Float[Array, "*grid"], kinetic: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
    """s̃ + tanh²α̃, zero for the uniform gas."""
    return slope + jnp.tanh(kinetic) ** 2
