"""Constant temperature and pressure: velocities rescaled by `CSVR`, lengths by stochastic cell rescaling.

    dε = −(κ/τ) (P₀ − P) dt + √(2 kT κ/(V τ)) dW,   ε = ln V,   P = (2K + W)/3V

Positions and cell are scaled by e^{dε/3}, momenta by its inverse, so that phase-space volume is kept; with dV the
measure of volumes the distribution is V^N e^{−(U + P₀V)/kT} (Bernetti & Bussi, J. Chem. Phys. 153, 114107 (2020),
doi:10.1063/5.0020514).
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from jqc.errors import InputError
from jqc.md.ensembles.csvr import rescaled
from jqc.md.ensembles.nve import NVE
from jqc.md.motion import Time
from jqc.md.space import scaled, volume
from jqc.md.state import State
from jqc.typing import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NPT:
    """Temperature kT, pressure P₀, their time constants, and a guess of the isothermal compressibility κ.

    κ and the pressure's time constant only set how fast the volume follows.
    """

    temperature: Float[Array, ""] | float
    pressure: Float[Array, ""] | float
    time: Float[Array, ""] | float
    pressure_time: Float[Array, ""] | float
    compressibility: Float[Array, ""] | float

    def start(self, state: State) -> State:
        """As at constant energy.

        Raises:
            InputError: free space, which has no pressure, or a potential that tells no virial.
        """
        _pressure(state)
        return NVE().start(state)

    def before(self, state: State, dt: Time) -> State:
        """Lengths scaled, a half kick and a drift."""
        return NVE().before(self._stretched(state, dt), dt)

    def after(self, state: State, dt: Time) -> State:
        """The other half kick, and momenta scaled."""
        return rescaled(NVE().after(state, dt), self.temperature, self.time, dt)

    def _stretched(self, state: State, dt: Time) -> State:
        """Positions, cell and momenta of another volume; the work is counted to first order."""
        key, own = jax.random.split(state.key)
        rate = self.compressibility / self.pressure_time
        pressure, virial = _pressure(state)
        spread = jnp.sqrt(2 * self.temperature * rate * dt / volume(state.cell))
        growth = rate * (pressure - self.pressure) * dt + spread * jax.random.normal(own, ())
        scale = jnp.exp(growth / 3)
        new = replace(
            state,
            positions=scale * state.positions,
            momenta=state.momenta / scale,
            cell=scaled(state.cell, scale),
            key=key,
        )
        work = new.kinetic - state.kinetic - virial * growth / 3
        return replace(new, given=state.given + work)


def _pressure(state: State) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Pressure and virial of a state that has them."""
    if state.pressure is None or state.virial is None:
        raise InputError("there is no pressure in free space, or without a virial; give a cell, or another ensemble.")
    return state.pressure, state.virial
