"""Learned functionals that are neither trained nor zero: every parameter carries seeded noise."""

from collections.abc import Callable
from functools import cache

import jax
import pytest

from jqc.xc.neural.architectures import create
from jqc.xc.neural.learned import Learned


def with_noise(functional: Learned, scale: float, seed: int) -> Learned:
    leaves, structure = jax.tree.flatten(functional)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    noisy = [
        leaf + scale * jax.random.normal(key, leaf.shape, leaf.dtype) for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noisy)


@cache
def _randomised(name: str, scale: float = 0.1, seed: int = 0, **options) -> Learned:
    return with_noise(create(name, jax.random.key(1), **options), scale, seed)


@pytest.fixture(scope="session")
def randomised() -> Callable[..., Learned]:
    """A functional by architecture, size of its noise and seed: `randomised("xcdiff", 0.1)`."""
    return _randomised
