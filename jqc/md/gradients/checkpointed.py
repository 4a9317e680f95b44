"""Backpropagation through every step, from states that are kept and others that are computed again.

All states of a trajectory are few numbers beside what one evaluation of forces leaves, so they are kept while `memory`
has room for them. Else the trajectory is cut into segments of about √T steps, whose first states are kept, and each is
run again when its turn comes (Griewank & Walther, ACM Trans. Math. Softw. 26, 19 (2000), doi:10.1145/347837.347846,
with two levels).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Any

import jax
import jax.numpy as jnp

from jqc.errors import InputError
from jqc.md.ensembles.base import Ensemble
from jqc.md.gradients.real import is_real
from jqc.md.gradients.sampling import Sampling, Sums
from jqc.md.potential import Potential
from jqc.md.state import State
from jqc.typing import Array

Arrays = tuple[Array, ...]


@dataclass(frozen=True)
class Checkpointed:
    """Backpropagation within `memory` bytes of states.

    Parameters
    ----------
    memory
        Bytes of states that may be kept.
    truncate
        Frames after which derivatives are cut off: each frame is differentiated through the steps since the last cut.
    clip
        Largest norm of the derivatives by positions, momenta and forces that is passed on from a frame to those before.
    """

    memory: int = 1 << 30
    truncate: int | None = None
    clip: float | None = None

    def __post_init__(self):
        if (
            self.memory < 1
            or (self.truncate is not None and self.truncate < 1)
            or (self.clip is not None and self.clip <= 0)
        ):
            raise InputError(
                f"memory {self.memory}, truncation {self.truncate} and clipping {self.clip} cannot be had; give "
                "positive numbers."
            )

    def mean(self, potential: Potential, ensemble: Ensemble, state: State, sampling: Sampling) -> tuple[State, Any]:
        """The last state and the mean of what is observed."""

        def frame(carry: Sums, number) -> tuple[Sums, None]:
            state, sums = carry
            return sampling.further(potential, ensemble, (self._passed_on(state, number), sums)), None

        together = self._frames_together(state, sampling)
        carry, numbers = sampling.first(state), jnp.arange(sampling.frames)
        if together > 1:
            several = jax.checkpoint(lambda carry, numbers: jax.lax.scan(frame, carry, numbers))
            whole = sampling.frames // together * together
            carry, _ = jax.lax.scan(several, carry, numbers[:whole].reshape(-1, together))
            numbers = numbers[whole:]
        (state, sums), _ = jax.lax.scan(frame, carry, numbers)
        return state, sampling.mean(sums)

    def _frames_together(self, state: State, sampling: Sampling) -> int:
        """Frames of a segment that is run again; one where every state finds room."""
        frames, stride = sampling.frames, sampling.stride
        size = sum(leaf.nbytes for leaf in (state.positions, state.momenta, state.forces))
        return 1 if frames * stride * size <= self.memory else max(1, ceil(sqrt(frames / stride)))

    def _passed_on(self, state: State, number) -> State:
        if self.clip is not None:
            state = _clipped(state, self.clip)
        if self.truncate is None:
            return state
        cut = (number > 0) & (number % self.truncate == 0)
        return jax.tree.map(lambda x: jnp.where(cut, jax.lax.stop_gradient(x), x) if is_real(x) else x, state)


def _clipped(state: State, largest: float) -> State:
    """The state, whose derivatives by positions, momenta and forces together are shortened to a norm."""
    positions, momenta, forces = _with_clipped_slope(largest, (state.positions, state.momenta, state.forces))
    return replace(state, positions=positions, momenta=momenta, forces=forces)


def _same(largest: float, arrays: Arrays) -> Arrays:
    return arrays


def _forward(largest: float, arrays: Arrays):
    return arrays, None


def _backward(largest: float, _, slopes: Arrays) -> tuple[Arrays]:
    norm = jnp.sqrt(sum((jnp.sum(slope**2) for slope in slopes), jnp.zeros(())))
    shorter = jnp.where(norm > largest, largest / jnp.where(norm > largest, norm, 1.0), 1.0)
    return (tuple(shorter * slope for slope in slopes),)


_rule = jax.custom_vjp(_same, nondiff_argnums=(0,))
_rule.defvjp(_forward, _backward)

_with_clipped_slope: Callable[[float, Arrays], Arrays] = _rule
"""The same arrays; their derivatives together are not longer than the first argument."""
