"""A pair potential with three parameters, found again from a radial distribution function by three kinds of gradients.

The truth is 256 Lennard-Jones particles at ρ = 0.3 and T = 1.2; all that is known of it is g(r). What is learned is a
Mie potential, of which the depth, the diameter and the steepness of the core begin elsewhere. With SMOKE in the
environment a few steps are made of each, which shows that the script runs.
"""

# %% Set-up: double precision
import os
import time
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jqc.md import CSVR, NoseHoover, begin, joined, simulate
from jqc.md.gradients import Adjoint, Checkpointed, Reweighted, Sampling, gradient
from jqc.md.observables import all_pairs, rdf
from jqc.md.observables.pairs import rdf_of
from jqc.md.potentials.pair import pair_sum, switched_off

jax.config.update("jax_enable_x64", True)

SMOKE = "SMOKE" in os.environ
ATOMS, DENSITY, TEMPERATURE, DT = 256, 0.3, 1.2, 0.005


# %% A potential of one's own: a registered dataclass, whose arrays are its parameters
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mie:
    """C ε((σ/r)ⁿ − (σ/r)⁶), C = n/(n − 6) (n/6)^{6/(n − 6)}; Lennard-Jones where n = 12."""

    epsilon: jax.Array
    sigma: jax.Array
    exponent: jax.Array
    cutoff: float = field(default=2.5, metadata={"static": True})

    def pair(self, squared):
        """Energy of pairs from their squared distances."""
        n, ratio = self.exponent, self.sigma**2 / squared
        depth = n / (n - 6) * (n / 6) ** (6 / (n - 6)) * self.epsilon
        return depth * (ratio ** (n / 2) - ratio**3) * switched_off(squared, 2.25, self.cutoff)

    def energy(self, positions, cell, neighbours):
        """Energy of all pairs."""
        return self.evaluate(positions, cell, neighbours).energy

    def evaluate(self, positions, cell, neighbours):
        """Energy, forces and virial."""
        return pair_sum(self.pair, positions, cell, neighbours, self.cutoff)


def mie(values) -> Mie:
    """A potential from its three numbers, the exponent in twelves."""
    epsilon, sigma, twelfths = values
    return Mie(epsilon, sigma, 12 * twelfths)


truth, start = mie(jnp.asarray([1.0, 1.0, 1.0])), jnp.asarray([0.7, 1.06, 0.8])

# %% The experiment: g(r) of the truth
edge = (ATOMS / DENSITY) ** (1 / 3)
lattice = np.stack(np.meshgrid(*[np.arange(7)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:ATOMS] * edge / 7
thermostat = CSVR(TEMPERATURE, 0.2)
cell, masses = np.full(3, edge), np.ones(ATOMS)
state = begin(truth, thermostat, lattice, masses, temperature=TEMPERATURE, cell=cell, skin=0.8)
*_, (state, _) = simulate(truth, thermostat, state, DT, 4000, stride=100)
steps = 4000 + (2000 if SMOKE else 200_000)
frames = joined([frames for _, frames in simulate(truth, thermostat, state, DT, steps, stride=50)])
bins, width = jnp.linspace(0.7, 3.5, 57), 0.03
target = rdf(jnp.asarray(frames.positions), state.cell, bins, width=width)

# %% What is seen of a state, and what is asked of its average
pairs = jnp.asarray(all_pairs(ATOMS))


def observe(state):
    """g(r) of one moment."""
    return rdf_of(state.positions, state.cell, bins, pairs, width)


def loss(seen):
    """How far g(r) is from the experiment."""
    return jnp.mean((seen - target) ** 2)


# %% Through time over short pieces of a trajectory, which goes on from one to the next; by weights over longer ones
chain = NoseHoover(TEMPERATURE, 0.2)
short, long = Sampling(DT, 16, 10, observe), Sampling(DT, 50, 40, observe)
WAYS = {
    "checkpointed": (Checkpointed(clip=1.0), chain, short, 150),
    "adjoint": (Adjoint(), chain, short, 150),
    "reweighted": (Reweighted(TEMPERATURE), thermostat, long, 80),
}


def learned(way, ensemble, sampling, epochs: int) -> np.ndarray:
    """The three numbers after every step of Adam."""
    schedule = optax.cosine_decay_schedule(0.02, epochs, alpha=0.05)
    optimizer = optax.adam(schedule, b1=0.8, b2=0.95)
    values, path = start, []
    memory, at = optimizer.init(values), ensemble.start(state)
    for _ in range(epochs):
        found = gradient(loss, way, mie(values), ensemble, at, sampling).check()
        slope = jnp.stack([found.slope.epsilon, found.slope.sigma, 12 * found.slope.exponent])
        change, memory = optimizer.update(slope, memory)
        values, at = values + change, found.state
        path.append(values)
    return np.asarray(path)


# %% Three ways to the same three numbers
print(f"{'':14s}{'epsilon':>9s}{'sigma':>9s}{'n':>9s}{'seconds':>9s}")
for name, (way, ensemble, sampling, epochs) in WAYS.items():
    began = time.perf_counter()
    path = learned(way, ensemble, sampling, 3 if SMOKE else epochs)
    epsilon, sigma, twelfths = path[-len(path) // 3 :].mean(axis=0)  # the last third, in which noise averages out
    print(f"{name:14s}{epsilon:9.3f}{sigma:9.3f}{12 * twelfths:9.2f}{time.perf_counter() - began:9.0f}", flush=True)
print(f"{'truth':14s}{1.0:9.3f}{1.0:9.3f}{12.0:9.2f}")
