"""The one small network that every architecture is made of."""

from collections.abc import Callable

import flax.linen as nn
import jax
from jax.nn import initializers

from jqc.typing import Array, Float


class Mlp(nn.Module):
    """Dense layers with an activation between them and one output, zero until trained: the last layer starts at zero.

    It runs in the dtype of what it is given. `activation` has to be smooth to second order, for the kernel is the
    energy's second derivative.
    """

    width: int
    depth: int
    activation: Callable[[Array], Array] = jax.nn.silu

    @nn.compact
    def __call__(self, x: Float[Array, "*grid feature"]) -> Float[Array, "*grid"]:
        """One number per point."""
        for _ in range(self.depth):
            x = self.activation(nn.Dense(self.width, kernel_init=initializers.lecun_normal())(x))
        return nn.Dense(1, kernel_init=initializers.zeros)(x)[..., 0]
