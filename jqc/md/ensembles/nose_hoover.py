"""Nosé–Hoover chains: a thermostat that is deterministic and can be run backwards.

    ṗ = F − p p₁/Q₁,   ṗ₁ = 2K − f kT − p₁ p₂/Q₂,   ṗ_j = p_{j−1}²/Q_{j−1} − kT − p_j p_{j+1}/Q_{j+1}

with Q₁ = f kT τ² and Q_j = kT τ², integrated as in Martyna, Tuckerman, Tobias & Klein, Mol. Phys. 87, 1117 (1996), eqs.
29 to 35, doi:10.1080/00268979600100761. It keeps K + U + Σ p_j²/2Q_j + f kT ξ₁ + kT Σ_{j>1} ξ_j.
"""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

from jqc.md.ensembles.nve import NVE
from jqc.md.motion import Time
from jqc.md.state import State
from jqc.typing import Array, Float

WEIGHTS = (1.3512071919596578, -1.7024143839193153, 1.3512071919596578)
"""Pieces of a step that make it right to fourth order: 1/(2 − ∛2), 1 less two of them (Suzuki and Yoshida)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Chain:
    """Positions ξ and momenta of the thermostats."""

    positions: Float[Array, "link"]
    momenta: Float[Array, "link"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NoseHoover:
    """Temperature kT, time constant τ, and the thermostats of the chain."""

    temperature: Float[Array, ""] | float
    time: Float[Array, ""] | float
    links: int = field(default=3, metadata={"static": True})

    def start(self, state: State) -> State:
        """Thermostats at rest."""
        none = jnp.zeros(self.links, state.momenta.dtype)
        return replace(NVE().start(state), extra=Chain(none, none))

    def before(self, state: State, dt: Time) -> State:
        """Half a step of the chain, a half kick and a drift."""
        return NVE().before(self._thermostatted(state, 0.5 * dt), dt)

    def after(self, state: State, dt: Time) -> State:
        """The other halves."""
        return self._thermostatted(NVE().after(state, dt), 0.5 * dt)

    def _masses(self, freedom: Float[Array, ""]) -> Float[Array, "link"]:
        return self.temperature * self.time**2 * jnp.ones(self.links).at[0].set(freedom)

    def _thermostatted(self, state: State, time: Time) -> State:
        """Chain and momenta after a time in which positions stand still."""
        masses, twice_kinetic, chain, scale = self._masses(state.freedom), 2 * state.kinetic, state.extra, 1.0
        for weight in WEIGHTS:
            chain, factor = self._link_by_link(chain, masses, scale**2 * twice_kinetic, state.freedom, weight * time)
            scale = scale * factor
        new = replace(state, momenta=scale * state.momenta, extra=chain)
        return replace(new, given=-self._energy(chain, masses, state.freedom))

    def _link_by_link(
        self, chain: Chain, masses: Array, twice_kinetic: Array, freedom: Array, time: Time
    ) -> tuple[Chain, Float[Array, ""]]:
        """The chain after a time, from its end to its beginning and back, and the factor of all momenta."""
        momenta = list(chain.momenta)
        last = self.links - 1

        def push(j: int, twice_kinetic: Array) -> None:
            drive = twice_kinetic - freedom * self.temperature if j == 0 else momenta[j - 1] ** 2 / masses[j - 1]
            drive = drive if j == 0 else drive - self.temperature
            damping = jnp.exp(-0.25 * time * momenta[j + 1] / masses[j + 1]) if j < last else 1.0
            momenta[j] = (momenta[j] * damping + 0.5 * time * drive) * damping

        for j in reversed(range(self.links)):
            push(j, twice_kinetic)
        factor = jnp.exp(-time * momenta[0] / masses[0])
        positions = chain.positions + time * jnp.stack(momenta) / masses
        for j in range(self.links):
            push(j, factor**2 * twice_kinetic)
        return Chain(positions, jnp.stack(momenta)), factor

    def _energy(self, chain: Chain, masses: Array, freedom: Array) -> Float[Array, ""]:
        heat = self.temperature * (chain.positions.sum() + (freedom - 1) * chain.positions[0])
        return 0.5 * jnp.sum(chain.momenta**2 / masses) + heat
