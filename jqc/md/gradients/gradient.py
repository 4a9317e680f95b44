"""`gradient`: the slope of a loss of trajectory averages by a potential's parameters, and whether to trust it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax

from jqc.errors import SimulationError
from jqc.md.ensembles.base import Ensemble
from jqc.md.gradients.horizon import Horizon, horizon
from jqc.md.gradients.reweighted import Reweighted
from jqc.md.gradients.sampling import Sampling
from jqc.md.potential import Potential
from jqc.md.segment import is_crowded, with_longer_list
from jqc.md.state import State
from jqc.typing import Array, Float

Loss = Callable[[Any], Float[Array, ""]]
"""A number of what `observe` averages to."""


class Way(Protocol):
    """A way to a gradient: `Checkpointed`, `Adjoint` or `Reweighted`."""

    def mean(self, potential: Potential, ensemble: Ensemble, state: State, sampling: Sampling) -> tuple[State, Any]:
        """The last state, and the mean that is asked for."""
        ...


@dataclass(frozen=True)
class Gradient:
    """A loss, its slope as a potential whose arrays are derivatives, the averages, and the last state.

    `horizon` says how changes grow along the trajectory; none where the gradient does not go through time.
    """

    value: Float[Array, ""]
    slope: Potential
    averages: Any
    state: State
    horizon: Horizon | None

    def check(self) -> "Gradient":
        """Hand back the gradient if it means something.

        Raises:
            SimulationError: the trajectory is longer than its horizon.
        """
        chaotic = self.horizon and self.horizon.chaotic_from
        if self.horizon and chaotic:
            raise SimulationError(
                f"derivatives are chaos from step {chaotic} of {int(self.horizon.steps[-1])} on (changes grow to "
                f"{self.horizon.growth.max():.1e} in the end); take a shorter trajectory, truncate, or use Reweighted."
            )
        return self


def gradient(
    loss: Loss, way: Way, potential: Potential, ensemble: Ensemble, state: State, sampling: Sampling
) -> Gradient:
    """Differentiate a loss of averages along a trajectory by the potential's parameters.

    Parameters
    ----------
    loss
        Of the mean of what is observed.
    way
        `Checkpointed`, `Adjoint` or `Reweighted`.
    potential, ensemble, state
        As of `simulate`.
    sampling
        Frames to average over, and what of them.

    Raises
    ------
    InputError
        An ensemble that this way cannot take.
    SimulationError
        Atoms outran their lists of neighbours within a stride.
    """
    while True:
        value, slope, averages, last = _value_and_slope(loss, way, potential, ensemble, state, sampling)
        if not is_crowded(last):
            break
        state = with_longer_list(state)
    if last.neighbours is not None and bool(last.neighbours.late):
        raise SimulationError(
            f"atoms have outrun their lists of neighbours within {sampling.stride} steps; take a shorter stride, or "
            "begin with a larger skin."
        )
    through_time = not isinstance(way, Reweighted)
    times = float(sampling.dt), sampling.frames, sampling.stride
    seen = horizon(potential, ensemble, state, *times) if through_time else None
    return Gradient(value, slope, averages, last, seen)


@partial(jax.jit, static_argnames=("loss", "way"))
def _value_and_slope(loss: Loss, way: Way, potential: Potential, ensemble: Ensemble, state: State, sampling: Sampling):
    def of(potential):
        last, averages = way.mean(potential, ensemble, state, sampling)
        return loss(averages), (averages, last)

    (value, (averages, last)), slope = jax.value_and_grad(of, has_aux=True)(potential)
    return value, slope, averages, last
