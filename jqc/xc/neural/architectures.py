"""The architectures by name, and untrained functionals of them."""

from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import flax.linen as nn

from jqc.errors import FunctionalError
from jqc.settings import POSITIVE, require, whole
from jqc.typing import Array
from jqc.xc.neural.eg_xc import EGXC
from jqc.xc.neural.learned import Learned, initialised
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
        An unknown architecture or option, or a value that an option cannot have.

    >>> import jax
    >>> untrained = create("xcdiff", jax.random.key(0), width=8)
    >>> untrained.model.width, untrained.local
    (8, True)
    """
    return initialised(module(name, options), key)


def module(name: str, options: dict[str, Any]) -> nn.Module:
    """The module of an architecture.

    Raises
    ------
    FunctionalError
        An unknown architecture or option, or a value that an option cannot have.
    """
    if name not in ARCHITECTURES:
        raise FunctionalError(f'"{name}" is no architecture: {_nearest(name, ARCHITECTURES)}.')
    defaults = options_of(ARCHITECTURES[name]())
    for option in options:
        if option not in defaults:
            raise FunctionalError(f'"{option}" is no option of {name}: {_nearest(option, defaults)}.')
    return ARCHITECTURES[name](**{option: _checked(option, value, defaults) for option, value in options.items()})


def options_of(model: nn.Module) -> dict[str, Any]:
    """Hyper-parameters of a module.

    >>> options_of(XCDiff())
    {'width': 16, 'depth': 3}
    """
    return {field.name: getattr(model, field.name) for field in fields(model) if field.name not in ("parent", "name")}


def _checked(option: str, value: Any, defaults: dict[str, Any]) -> int | float:
    """The value in the type of the option's default: ints are sizes, floats are lengths and densities."""
    kind = type(defaults[option])
    require(option, value, whole(1) if kind is int else POSITIVE, FunctionalError)
    return kind(value)


def _nearest(word: str, known) -> str:
    near = get_close_matches(str(word), known, n=3, cutoff=0.5)
    return f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(sorted(known))}"
