"""`simulate`: a trajectory, chunk by chunk, that stops where something is wrong and can go on where it was."""

from collections.abc import Iterator

import jax
import numpy as np

from jqc.errors import InputError
from jqc.md.chunk import run_chunk
from jqc.md.ensembles.base import Ensemble
from jqc.md.limits import Limits, explosion
from jqc.md.potential import HostPotential, Potential
from jqc.md.state import State
from jqc.md.step import Frames
from jqc.md.walkers import walkers_of

CHUNK = 100
"""Frames that one program makes before Python looks at them."""


def simulate(
    potential: Potential | HostPotential,
    ensemble: Ensemble,
    state: State,
    dt: float,
    steps: int,
    *,
    stride: int = 10,
    chunk: int = CHUNK,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Iterator[tuple[State, Frames]]:
    """Advance a state to step number `steps`, and hand out the state and the new frames after every chunk.

    A state that was handed out is all that is needed to go on: the same chunks of frames follow, bit for bit.

    Parameters
    ----------
    potential, ensemble, state
        From `begin`, or of an earlier simulation; a state of `walkers` moves them side by side.
    dt
        Time step.
    steps
        Number of the last step, counted from the first state of all.
    stride
        Steps from one frame to the next; `steps` is a multiple of it.
    chunk
        Frames that are made before Python has its turn.
    limits
        What counts as gone wrong; numbers that are none always do.

    Raises
    ------
    InputError
        A time step, numbers of steps or a state that cannot be used, before any step.
    SimulationError
        The trajectory went beyond a limit; the frames before have been handed out.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import numpy as np
    >>> from jqc.md import NVE, LennardJones, begin, simulate
    >>> argon = LennardJones(epsilon=1.0, sigma=1.0)
    >>> state = begin(argon, NVE(), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]]), np.ones(2))
    >>> for state, frames in simulate(argon, NVE(), state, dt=0.001, steps=1000, stride=100):
    ...     drift = frames.conserved - frames.conserved[0]
    >>> bool(abs(drift).max() < 1e-4)
    True
    """
    _check(potential, state, dt, steps, stride, chunk)
    while (done := _step_of(state)) < steps:
        count = min(chunk, (steps - done) // stride)
        there, frames = run_chunk(potential, ensemble, state, dt, stride, count, chunk)
        beyond = limits.first_beyond(frames)
        if beyond is not None:
            number, what = beyond
            if number:
                yield state, jax.tree.map(lambda all, end=number: all[:end], frames)
            raise explosion(int(np.max(frames.step[number])), what, dt)
        state = there
        yield state, frames


def joined(parts: list[Frames]) -> Frames:
    """Frames of several chunks as one."""
    return jax.tree.map(lambda *each: np.concatenate(each), *parts)


def _step_of(state: State) -> int:
    """Number of the last step; walkers keep step."""
    return int(np.max(state.step))


def _check(potential: Potential | HostPotential, state: State, dt: float, steps: int, stride: int, chunk: int) -> None:
    if isinstance(potential, HostPotential) and walkers_of(state) is not None:
        raise InputError("walkers need a potential that can be compiled; simulate one after another.")
    if not (np.isfinite(dt) and dt != 0):
        raise InputError(f"a time step of {dt} goes nowhere; give one that is finite and not zero.")
    if stride < 1 or chunk < 1 or steps % stride or _step_of(state) % stride:
        raise InputError(
            f"{steps} steps from step {_step_of(state)} on, a frame every {stride} and {chunk} frames at a time, "
            "cannot be had; give a stride of at least 1 that divides the steps, and at least one frame."
        )
    numbers = (state.positions, state.momenta, state.energy, state.forces)
    if not all(np.isfinite(each).all() for each in numbers):
        raise InputError("the state holds a position, momentum, force or energy that is no number; begin anew.")
