"""When a simulation has gone wrong: numbers that are none, temperatures out of bounds, bonds that have come apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError, SimulationError
from jqc.md.observables.pairs import distances
from jqc.md.step import Frames
from jqc.md.walkers import of_walker
from jqc.typing import Float, Int


@dataclass(frozen=True)
class Limits:
    """Bounds on kT, and bonds as pairs of atoms whose lengths stay within `stretch` of `lengths`."""

    coldest: float = 0.0
    hottest: float = np.inf
    bonds: Int[np.ndarray, "bond 2"] | Sequence[tuple[int, int]] = ()
    lengths: Float[np.ndarray, "bond"] | Sequence[float] = ()
    stretch: float = np.inf

    def __post_init__(self):
        if not 0 <= self.coldest < self.hottest:
            raise InputError(
                f"temperatures from {self.coldest} to {self.hottest} leave no room; give a lower one first."
            )
        if len(self.bonds) != len(self.lengths):
            raise InputError(
                f"{len(self.bonds)} bonds and {len(self.lengths)} lengths do not go together; give as many."
            )

    def first_beyond(self, frames: Frames) -> tuple[int, str] | None:
        """Number of the first frame beyond a limit, and what is wrong with it; none where all is well."""
        if np.ndim(frames.energy) == 1:
            return self._first_of_one(frames)
        walkers = np.shape(frames.energy)[1]
        found = [self._first_of_one(of_walker(frames, number, axis=1)) for number in range(walkers)]
        told = [(each[0], f"walker {number}: {each[1]}") for number, each in enumerate(found) if each is not None]
        return min(told, default=None)

    def _first_of_one(self, frames: Frames) -> tuple[int, str] | None:
        found = [self._numbers(frames), self._temperatures(frames), self._bonds(frames)]
        return min((each for each in found if each is not None), default=None)

    def _numbers(self, frames: Frames) -> tuple[int, str] | None:
        finite = np.isfinite(np.asarray(frames.positions)).all((1, 2)) & np.isfinite(np.asarray(frames.conserved))
        return _first(~finite, lambda at: "a position or the energy is no number any more")

    def _temperatures(self, frames: Frames) -> tuple[int, str] | None:
        found = np.asarray(frames.temperature)
        say = lambda at: f"its temperature is {found[at]:.4g}, beyond {self.coldest:.4g} to {self.hottest:.4g}"  # noqa: E731
        return _first((found < self.coldest) | (found > self.hottest), say)

    def _bonds(self, frames: Frames) -> tuple[int, str] | None:
        if not len(self.bonds) or np.isinf(self.stretch):
            return None
        bonds, each_frame = np.asarray(self.bonds), None if frames.cell is None else 0
        lengths = jax.vmap(distances, (0, None, each_frame))(frames.positions, jnp.asarray(bonds), frames.cell)
        off = np.abs(np.asarray(lengths) - np.asarray(self.lengths))
        worst = off.argmax(axis=1)

        def say(at: int) -> str:
            a, b = bonds[worst[at]]
            length = f"{off[at, worst[at]]:.4g} from its length, more than {self.stretch:.4g}"
            return f"the distance of atoms {a} and {b} is {length}"

        return _first(off.max(axis=1) > self.stretch, say)


def _first(beyond, say) -> tuple[int, str] | None:
    at = np.flatnonzero(beyond)
    return (int(at[0]), say(int(at[0]))) if at.size else None


def explosion(step: int, what: str, dt: float) -> SimulationError:
    """The error of a simulation that went beyond a limit at a step."""
    return SimulationError(
        f"the simulation went wrong by step {step} ({what}); the frames before are kept. Take a step shorter than "
        f"{dt:.4g}, or relax the geometry first."
    )
