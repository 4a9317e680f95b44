"""How long a trajectory can be differentiated: changes of its start grow like e^{λt}, and with them every derivative.

λ is the largest Lyapunov exponent, from one tangent that is carried along and shortened after every stride (Benettin,
Galgani, Giorgilli & Strelcyn, Meccanica 15, 9 (1980), doi:10.1007/BF02128236). A derivative that has grown a
thousandfold is dominated by single collisions: it is right for this trajectory, and says nothing of any average.
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jqc.md.ensembles.base import Ensemble
from jqc.md.gradients.real import is_real, real_leaves, with_real
from jqc.md.motion import Time
from jqc.md.potential import Potential
from jqc.md.segment import relisted
from jqc.md.state import State
from jqc.md.step import step
from jqc.typing import Array, Float

GROWTH = 1e3
"""Of changes, from which on derivatives count as chaos."""


@dataclass(frozen=True)
class Horizon:
    """Growth of a small change of the first state, by step number, and from which step on it is chaos."""

    steps: np.ndarray
    growth: np.ndarray
    dt: float

    @property
    def chaotic_from(self) -> int | None:
        """First step after which changes have grown by more than `GROWTH`; none where they never do."""
        beyond = np.flatnonzero(~(self.growth <= GROWTH))
        return int(self.steps[beyond[0]]) if beyond.size else None

    @property
    def exponent(self) -> float:
        """λ in inverse time, over the second half of the trajectory."""
        half = len(self.steps) // 2
        if len(self.steps) - half < 2:
            return float("nan")
        return float(np.polyfit(self.dt * self.steps[half:], np.log(self.growth[half:]), 1)[0])


def horizon(
    potential: Potential,
    ensemble: Ensemble,
    state: State,
    dt: float,
    frames: int,
    stride: int,
    key: Array | None = None,
) -> Horizon:
    """Follow a random change of positions and momenta through `frames` strides."""
    key = jax.random.key(0) if key is None else key
    logs = np.asarray(_logarithms(potential, ensemble, state, dt, key, frames, stride))
    return Horizon(stride * np.arange(1, frames + 1), np.exp(np.cumsum(logs)), dt)


@partial(jax.jit, static_argnames=("frames", "stride"))
def _logarithms(
    potential: Potential, ensemble: Ensemble, state: State, dt: Time, key: Array, frames: int, stride: int
) -> Float[Array, "frame"]:
    """Logarithm of the growth in each stride."""

    def one(carry: tuple[State, list[Array]], _):
        state, change = carry

        def onwards(reals: list[Array]) -> tuple[list[Array], State]:
            there = step(potential, ensemble, with_real(state, reals), dt, relist=False)
            return real_leaves(there), there

        _, change, there = jax.jvp(onwards, (real_leaves(state),), (change,), has_aux=True)
        return (there, change), None

    def frame(carry: tuple[State, list[Array]], _):
        state, change = carry
        (state, change), _ = jax.lax.scan(one, (relisted(state), change), length=stride)
        change, size = _shortened(state, change)
        return (state, change), jnp.log(size)

    random = [jax.random.normal(own, state.positions.shape) for own in jax.random.split(key)]
    none = jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if is_real(leaf) else leaf, state)
    change = real_leaves(replace(none, positions=random[0], momenta=random[1]))
    return jax.lax.scan(frame, (state, _shortened(state, change)[0]), length=frames)[1]


def _shortened(state: State, change: list[Array]) -> tuple[list[Array], Float[Array, ""]]:
    """A change of unit norm of positions and velocities, and the norm that it had."""
    at = with_real(state, change)
    size = jnp.sqrt(jnp.sum(at.positions**2) + jnp.sum((at.momenta / state.masses[:, None]) ** 2))
    return [part / size for part in change], size
