"""Langevin dynamics by BAOAB, which samples configurations well even with large steps.

    p ← c p + √(1 − c²) √(m kT) ξ,   c = e^{−γ Δt}

between two half drifts (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102 (2013), doi:10.1063/1.4802990).
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from jqc.md.motion import Time, drift, kick, with_momenta
from jqc.md.state import State
from jqc.typing import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Langevin:
    """Temperature kT and friction γ, in inverse time."""

    temperature: Float[Array, ""] | float
    friction: Float[Array, ""] | float

    def start(self, state: State) -> State:
        """All velocities take up heat, those of the whole too."""
        taken = 0 if state.rigid is None else state.rigid.count
        return replace(state, freedom=jnp.asarray(float(state.momenta.size - taken)), extra=None)

    def before(self, state: State, dt: Time) -> State:
        """A half kick, half a drift, friction and noise, half a drift."""
        state = drift(kick(state, 0.5 * dt), 0.5 * dt)
        key, own = jax.random.split(state.key)
        kept = jnp.exp(-self.friction * dt)
        noise = jax.random.normal(own, state.momenta.shape, state.momenta.dtype)
        spread = jnp.sqrt((1 - kept**2) * self.temperature * state.masses)[:, None]
        new = with_momenta(replace(state, key=key), kept * state.momenta + spread * noise)
        new = replace(new, given=state.given + new.kinetic - state.kinetic)
        return drift(new, 0.5 * dt)

    def after(self, state: State, dt: Time) -> State:
        """The other half kick."""
        return kick(state, 0.5 * dt)
