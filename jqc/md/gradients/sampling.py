"""Which states of a trajectory are averaged, and what of them."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jqc.errors import InputError
from jqc.md.ensembles.base import Ensemble
from jqc.md.motion import Time
from jqc.md.potential import Potential
from jqc.md.segment import Observe, no_sums, steps
from jqc.md.state import State

Sums = tuple[State, Any]
"""A state, and what has been observed up to it, summed."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sampling:
    """The mean of what `observe` sees after each of `frames` strides.

    Parameters
    ----------
    dt
        Time step, as of `simulate`.
    frames, stride
        Frames to average over and steps between them.
    observe
        What is averaged, of a state; a function that stays the same object compiles once.

    Raises
    ------
    InputError
        No frames, or no steps between them.
    """

    dt: Time
    frames: int = field(metadata={"static": True})
    stride: int = field(metadata={"static": True})
    observe: Observe = field(metadata={"static": True})

    def __post_init__(self) -> None:
        if self.frames < 1 or self.stride < 1:
            raise InputError(f"{self.frames} frames of {self.stride} steps cannot be averaged; give one or more.")

    def first(self, state: State) -> Sums:
        """Nothing observed yet."""
        return state, no_sums(self.observe, state)

    def further(self, potential: Potential, ensemble: Ensemble, sums: Sums) -> Sums:
        """A stride on, with what is observed there."""
        state = steps(potential, ensemble, sums[0], self.dt, self.stride)
        return state, jax.tree.map(jnp.add, sums[1], self.observe(state))

    def mean(self, sums: Any) -> Any:
        """The average of sums over all frames."""
        return jax.tree.map(lambda total: total / self.frames, sums)
