"""Skala-mGGA: a bounded enhancement of the uniform gas's exchange from seven logarithms of the density."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Density, Quadrature, integrate
from jqc.xc.lda import slater
from jqc.xc.neural.features import below, log_above
from jqc.xc.neural.mlp import Mlp


class SkalaMGGA(nn.Module):
    """E_xc = ∫ e_x^LDA[ρα, ρβ] 2σ(x/2), x the mean of the net's answers to both orders of the spins.

    The net reads ln(y + 1e-5) of ρα, ρβ, |∇ρα|², |∇ρβ|², τα, τβ and |∇ρ|². The enhancement lies between 0 and 2; an
    untrained one is exchange of the uniform gas, without correlation. This is the local part of Skala, whose embedding
    is 256 wide; 64 is chosen here, a sixteenth of the work, as the local part alone does not need it. Luise et al.,
    arXiv:2506.14665 (2025); local part alone as in Eberhard et al., arXiv:2606.04279 (2026).

    Parameters
    ----------
    width, depth
        Hidden layers.
    floor
        Added to features before their logarithm, as published; slopes below √floor are not told apart.
    """

    width: int = 64
    depth: int = 3
    floor: float = 1e-5
    ingredients = "tau"
    exchange = ()
    local = True

    @nn.compact
    def __call__(self, density: Density, quadrature: Quadrature) -> Float[Array, ""]:
        """Exchange-correlation energy in hartree."""
        net = Mlp(self.width, self.depth, jax.nn.silu)
        slope = log_above(density.sigma[0] + 2 * density.sigma[1] + density.sigma[2], self.floor)
        logs = [
            [log_above(y, self.floor) for y in (density.rho[spin], density.sigma[2 * spin], density.tau[spin])]
            for spin in (0, 1)
        ]

        def answer(first: list[Array], second: list[Array]) -> Float[Array, "*grid"]:
            pairs = [one for pair in zip(first, second, strict=True) for one in pair]
            return net(jnp.stack([*pairs, slope], axis=-1))

        x = 0.5 * (answer(*logs) + answer(*reversed(logs)))
        return integrate(slater(density) * below(2.0, 0.5 * x), quadrature)
