"""Gradients of equilibrium averages from frames, without any through time: how their weights change.

    ⟨O⟩_θ = Σ_t w_t O_t,   w_t ∝ exp(−(U_θ(R_t) − U_θ₀(R_t))/kT),   N_eff = exp(−Σ w_t ln w_t)

The frames are those of θ₀; while N_eff is near to their number they serve for other parameters too (DiffTRe: Thaler &
Zavadlav, Nat. Commun. 12, 6884 (2021), eqs. 4 to 6, doi:10.1038/s41467-021-27241-4).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jqc.md.ensembles.base import Ensemble
from jqc.md.gradients.sampling import Sampling
from jqc.md.potential import Potential
from jqc.md.segment import Observe, no_sums
from jqc.md.state import State
from jqc.md.step import step
from jqc.typing import Array, Float


@dataclass(frozen=True)
class Reweighted:
    """Averages of frames at temperature kT, whose weights depend on the potential.

    The ensemble keeps that temperature. Frames should be far enough apart to be independent of each other.
    """

    temperature: float

    def mean(self, potential: Potential, ensemble: Ensemble, state: State, sampling: Sampling) -> tuple[State, Any]:
        """The last state and the mean of what is observed; only its derivatives by the potential are meant."""
        fixed = jax.lax.stop_gradient((potential, ensemble, state))

        def frame(state: State, _) -> tuple[State, State]:
            state = jax.lax.fori_loop(0, sampling.stride, lambda _, state: step(*fixed[:2], state, sampling.dt), state)
            return state, state

        last, seen = jax.lax.scan(frame, fixed[2], length=sampling.frames)
        return last, reweighted_mean(potential, seen, seen.energy, self.temperature, sampling.observe)


def reweighted_mean(
    potential: Potential, frames: State, energies: Float[Array, "frame"], temperature: float, observe: Observe
) -> Any:
    """Σ w_t O_t over states that another potential, or this one, has made with these energies."""
    w = weights(potential, frames, energies, temperature)

    def add(sums, frame):
        weight, state = frame
        return jax.tree.map(lambda total, new: total + weight * new, sums, observe(state)), None

    first = jax.tree.map(lambda leaf: leaf[0], frames)
    return jax.lax.scan(jax.checkpoint(add), no_sums(observe, first), (w, frames))[0]


def weights(
    potential: Potential, frames: State, energies: Float[Array, "frame"], temperature: float
) -> Float[Array, "frame"]:
    """The w_t of a potential."""

    @jax.checkpoint
    def energy(state: State) -> Float[Array, ""]:
        at = jax.lax.stop_gradient(state)  # with the neighbours that its forces were found with
        return potential.energy(at.positions, at.cell, at.neighbours)

    return jax.nn.softmax((energies - jax.lax.map(energy, frames)) / temperature)


def effective_frames(w: Float[Array, "frame"]) -> Float[Array, ""]:
    """N_eff of weights: how many frames of equal weight they amount to."""
    return jnp.exp(-jnp.sum(jax.scipy.special.xlogy(w, w)))
