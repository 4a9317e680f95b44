"""Networks on nodes whose features are scalars and vectors: linear maps, and an interaction between neighbours."""

import e3x
import flax.linen as nn
import jax.numpy as jnp
from jax.nn import initializers

from jqc.typing import Array, Bool, Float


class Linear(nn.Module):
    """One matrix per degree, a bias for scalars only."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "... 1 component old"]) -> Float[Array, "... 1 component new"]:
        """The mapped features."""
        return e3x.nn.Dense(self.features, kernel_init=initializers.lecun_normal())(x)


class Interaction(nn.Module):
    """x_i ← x_i + W₂ silu(W₁ (x_i + Σ_j x_j ⊗ W_f b_ij)) over neighbours j, coupled by Clebsch–Gordan coefficients.

    `silu` multiplies every component of a feature by a function of its scalar, so that features stay tensors.
    """

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "atom 1 component feature"],
        basis: Float[Array, "atom atom 1 component radial"],
        neighbours: Bool[Array, "atom atom"],
    ) -> Float[Array, "atom 1 component feature"]:
        """Features after one round of messages.

        Parameters
        ----------
        x
            Features of nodes.
        basis
            Of the vectors between nodes, zero beyond the cutoff.
        neighbours
            Pairs (receiver, sender) that exchange messages.
        """
        features, degree = x.shape[-1], round(x.shape[-2] ** 0.5) - 1
        everyone = jnp.broadcast_to(jnp.arange(x.shape[0]), neighbours.shape)
        message = e3x.nn.MessagePass(
            max_degree=degree,
            include_pseudotensors=False,
            cartesian_order=True,
            use_fused_tensor=False,
        )(x, basis, adj_idx=everyone, where=neighbours).astype(x.dtype)  # coefficients of coupling are double with x64
        inner = e3x.nn.silu(Linear(features)(x + message))
        return x + Linear(features)(inner)
