"""What losses share: checked weights, a sum over those that are not zero, and residuals at the solution."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from jqc.distill.difference import Difference
from jqc.distill.example import Example
from jqc.distill.residuals import Residuals, residuals
from jqc.errors import InputError
from jqc.system.sampled import with_orbitals
from jqc.typing import Array, Float
from jqc.xc.base import Functional

ENERGY_SCALE = 1e-3
"""Hartree; an energy that is wrong by this weighs as much as a gradient that costs half of it."""

Terms = dict[str, Float[Array, ""]]
"""Parts of a loss by name, without their weights."""


def check(loss: Any, terms: Sequence[str]) -> None:
    """Refuse fields of a loss that mean nothing; `terms` are those that weigh a term each.

    Raises:
        InputError: a weight that is no number of zero or more, a count below one, or no weight at all.
    """
    for each in fields(loss):
        value, default = getattr(loss, each.name), each.default
        if isinstance(default, bool):
            good, fix = isinstance(value, bool), "give true or false"
        elif isinstance(default, int):
            good, fix = type(value) is int and 0 < value < 1 << 31, "give a whole number from 1 to 2147483647"
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            good, fix = number and 0 <= value <= sys.float_info.max, "give a weight of zero or more"
        if not good:
            raise InputError(f"{each.name} is {value!r}; {fix}.")
    if not any(getattr(loss, name) for name in terms):
        raise InputError(f"the weights of {', '.join(terms)} are all zero; give one above it.")


def weighted(
    loss: Any, example: Example, terms: Mapping[str, Callable[[], Float[Array, ""]]]
) -> tuple[Float[Array, ""], Terms]:
    """Σ weight · term per electron, and the terms; one of weight zero is not computed."""
    found = {name: term() / example.n_electrons for name, term in terms.items() if getattr(loss, name)}
    return jnp.sum(jnp.stack([getattr(loss, name) * term for name, term in found.items()])), found


def evaluated(example: Example) -> Example:
    """The example, of host arrays or others, with its orbitals on the grid, for several passes."""
    example = jax.tree.map(jnp.asarray, example)
    return replace(example, sampled=with_orbitals(example.sampled))


def at_solution(student: Functional, teacher: Functional, example: Example) -> Residuals:
    """Energy and gradient at the teacher's solution alone."""
    nowhere = jnp.zeros((0, len(example.tangents)), example.tangents.dtype)
    return residuals(Difference(student, teacher), example.at(jnp.array([0])), nowhere, nowhere[:, 0])


def energy_term(energy: Float[Array, ""]) -> Float[Array, ""]:
    """Smooth absolute error 2s(√(1 + (ΔE/s)²) − 1) in hartree, s = `ENERGY_SCALE`.

    It is ΔE²/s for small errors and 2|ΔE| for large ones: an untrained student is wrong by hartrees, and the square of
    that would leave nothing of the other terms.
    """
    x = energy / ENERGY_SCALE
    return 2 * ENERGY_SCALE * x**2 / (1 + jnp.sqrt(1 + x**2))


def second_order(example: Example, gradient: Float[Array, "spin virt occ"]) -> Float[Array, ""]:
    """What self-consistency changes the student's energy by, to second order: δE = −½ Σ g²/D in hartree."""
    return -0.5 * jnp.sum(example.inverse_curvature * gradient**2)
