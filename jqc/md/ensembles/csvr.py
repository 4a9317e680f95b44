"""Stochastic velocity rescaling: the kinetic energy takes a step of a process whose distribution is the canonical one.

    α² = c + (1 − c) q (R² + S) + 2 R √(c (1 − c) q),   c = e^{−Δt/τ},   q = kT/2K

R is normal, S the sum of squares of f − 1 normal numbers, f the degrees of freedom (Bussi, Donadio & Parrinello, J.
Chem. Phys. 126, 014101 (2007), appendix, doi:10.1063/1.2408420).
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from jqc.md.ensembles.nve import NVE
from jqc.md.motion import Time
from jqc.md.state import State
from jqc.typing import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CSVR:
    """Temperature kT and time constant τ."""

    temperature: Float[Array, ""] | float
    time: Float[Array, ""] | float

    def start(self, state: State) -> State:
        """As at constant energy."""
        return NVE().start(state)

    def before(self, state: State, dt: Time) -> State:
        """As at constant energy."""
        return NVE().before(state, dt)

    def after(self, state: State, dt: Time) -> State:
        """The other half kick, and all momenta scaled."""
        return rescaled(NVE().after(state, dt), self.temperature, self.time, dt)


def rescaled(state: State, temperature: Float[Array, ""] | float, time: Float[Array, ""] | float, dt: Time) -> State:
    """Momenta scaled by α."""
    key, one, others = jax.random.split(state.key, 3)
    kept = jnp.exp(-dt / time)
    share = (1 - kept) * 0.5 * temperature / state.kinetic
    normal = jax.random.normal(one, (), state.momenta.dtype)
    rest = 2 * jax.random.gamma(others, 0.5 * (state.freedom - 1), dtype=state.momenta.dtype)
    squared = kept + share * (normal**2 + rest) + 2 * normal * jnp.sqrt(kept * share)
    scale = jnp.sqrt(squared) * jnp.sign(normal + jnp.sqrt(kept / share))
    new = replace(state, momenta=scale * state.momenta, key=key)
    return replace(new, given=state.given + new.kinetic - state.kinetic)
