"""A learned functional: parameters, which are leaves of a pytree, and a Flax module, which is static."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jqc.typing import Array, Float
from jqc.xc.base import Density, Ingredients, Quadrature


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Learned:
    """E_xc = model(parameters; density, quadrature), a `Functional` like any other.

    Parameters
    ----------
    parameters
        Variables of the module, as its `init` returns them. They and the quadrature are cast to the density's dtype, so
        that the same single-precision parameters serve a double-precision SCF and single-precision training.
    model
        A Flax module that is called with a `Density` and a `Quadrature` and returns an energy in hartree. Its
        attributes `ingredients`, `exchange` and `local` are those of `jqc.xc.Functional`.

    >>> import flax.linen as nn, jax.numpy as jnp
    >>> class Constant(nn.Module):
    ...     ingredients, exchange, local = "none", (), False
    ...
    ...     @nn.compact
    ...     def __call__(self, density, quadrature):
    ...         return self.param("energy", nn.initializers.ones, ())
    >>> nothing = Density(jnp.zeros((2, 1)), jnp.zeros((3, 1)), jnp.zeros((2, 1)))
    >>> float(Learned({"params": {"energy": jnp.asarray(-2.0)}}, Constant()).energy(nothing, None))
    -2.0
    """

    parameters: Any
    model: nn.Module = field(metadata={"static": True})

    @property
    def name(self) -> str:
        """What the functional calls itself in reports."""
        return type(self.model).__name__

    @property
    def ingredients(self) -> Ingredients:
        """What the module reads."""
        return self.model.ingredients  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def exchange(self) -> tuple[tuple[float, float], ...]:
        """Exact exchange that goes with it."""
        return self.model.exchange  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def local(self) -> bool:
        """Whether the energy is a sum over points."""
        return self.model.local  # pyright: ignore[reportAttributeAccessIssue]

    def energy(self, density: Density, quadrature: Quadrature) -> Float[Array, ""]:
        """Exchange-correlation energy in hartree, in the density's dtype."""
        parameters, quadrature = jax.tree.map(partial(_cast, density.rho.dtype), (self.parameters, quadrature))
        return self.model.apply(parameters, density, quadrature)  # pyright: ignore[reportReturnType]


def initialised(model: nn.Module, key: Array) -> Learned:
    """An untrained functional of a module, with parameters as its initialisers give them.

    Parameters
    ----------
    model
        What `Learned` asks for.
    key
        Of `jax.random`; the same key gives the same parameters.
    """
    return Learned(_initial(model, key), model)


@partial(jax.jit, static_argnums=0)
def _initial(model: nn.Module, key: Array) -> Any:
    """Initial parameters of a module; its energy is not computed."""
    return model.lazy_init(key, *_nothing())


def _nothing() -> tuple[Density, Quadrature]:
    """One empty point at one nucleus, for the shapes that parameters depend on."""
    zeros = lambda *shape: jnp.zeros(shape, jnp.float32)  # noqa: E731
    density = Density(zeros(2, 1), zeros(3, 1), zeros(2, 1))
    return density, Quadrature(zeros(1, 3), zeros(1), zeros(1, 3), jnp.ones(1, int))


def _cast(dtype: Any, array: Array) -> Array:
    """The array in the given precision, unless it holds integers."""
    return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array
