"""The architectures by name, and untrained functionals of them."""

from dataclasses import fields
from difflib import get_close_matches
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jqc.errors import FunctionalError
from jqc.typing import Array
from jqc.xc.base import Density, Quadrature
from jqc.xc.neural.eg_xc import EGXC
from jqc.xc.neural.learned import Learned
from jqc.xc.neural.nn_mgga import NNMGGA
from jqc.xc.neural.skala_mgga import SkalaMGGA
from jqc.xc.neural.xcdiff import XCDiff

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "nn-mgga": NNMGGA,
    "xcdiff": XCDiff,
    "eg-xc": EGXC,
    "skala-mgga": SkalaMGGA,
}


def create(name: str, key: Array, **options: Any) -> Learned:
    """An untrained functional, near the local-density approximation, with single-precision parameters.

    Parameters
    ----------
    name
        One of `ARCHITECTURES`.
    key
        Of `jax.random`; the same key gives the same parameters.
    options
        Hyper-parameters of the module in place of its defaults.

    Raises
    ------
    FunctionalError
        An unknown architecture or option.

    >>> untrained = create("xcdiff", jax.random.key(0), width=8)
    >>> untrained.model.width, untrained.local
    (8, True)
    """
    model = module(name, options)
    return Learned(_initial(model, key), model)


@partial(jax.jit, static_argnums=0)
def _initial(model: nn.Module, key: Array) -> Any:
    """Parameters of a module, without the energy that their shapes follow from."""
    return model.lazy_init(key, *_nothing())


def module(name: str, options: dict[str, Any]) -> nn.Module:
    """The module of an architecture.

    Raises
    ------
    FunctionalError
        An unknown architecture or option.
    """
    if name not in ARCHITECTURES:
        raise FunctionalError(f'"{name}" is no architecture: {_nearest(name, ARCHITECTURES)}.')
    known = {*options_of(ARCHITECTURES[name]())}
    for option in options:
        if option not in known:
            raise FunctionalError(f'"{option}" is no option of {name}: {_nearest(option, known)}.')
    return ARCHITECTURES[name](**options)


def options_of(model: nn.Module) -> dict[str, Any]:
    """Hyper-parameters of a module.

    >>> options_of(XCDiff())
    {'width': 16, 'depth': 3}
    """
    return {field.name: getattr(model, field.name) for field in fields(model) if field.name not in ("parent", "name")}


def _nearest(word: str, known) -> str:
    near = get_close_matches(str(word), known, n=3, cutoff=0.5)
    return f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(sorted(known))}"


def _nothing() -> tuple[Density, Quadrature]:
    """One empty point at one nucleus, for the shapes that parameters depend on."""
    zeros = lambda *shape: jnp.zeros(shape, jnp.float32)  # noqa: E731
    density = Density(zeros(2, 1), zeros(3, 1), zeros(2, 1))
    return density, Quadrature(zeros(1, 3), zeros(1), zeros(1, 3), jnp.ones(1, int))
