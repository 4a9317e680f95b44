"""Ensembles: conservation, reversibility, and the distributions that they are made for."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jqc.errors import InputError
from jqc.md import CSVR, NPT, NVE, Langevin, Learned, LennardJones, NoseHoover, begin, joined, simulate
from jqc.md.observables import mean
from jqc.md.step import step

TEMPERATURE = 1.2

THERMOSTATS = {
    "langevin": Langevin(TEMPERATURE, 2.0),
    "csvr": CSVR(TEMPERATURE, 0.2),
    "nose-hoover": NoseHoover(TEMPERATURE, 0.2),
    "npt": NPT(TEMPERATURE, 0.5, 0.2, 0.5, 0.3),
}
thermostats = pytest.mark.parametrize("ensemble", THERMOSTATS.values(), ids=THERMOSTATS.keys())


def run(potential, ensemble, state, dt, steps, stride):
    """The last state and all frames."""
    parts = list(simulate(potential, ensemble, ensemble.start(state), dt, steps, stride=stride))
    return parts[-1][0], joined([frames for _, frames in parts])


def angular(frames):
    return np.cross(frames.positions, frames.momenta).sum(axis=1)


@pytest.fixture(scope="module")
def cluster():
    """An icosahedron in free space, without a cutoff."""
    golden = 0.5 * (1 + np.sqrt(5))
    corners = np.array([[0.0, a, b * golden] for a in (1, -1) for b in (1, -1)])
    corners = np.concatenate([np.roll(corners, turn, axis=1) for turn in range(3)])
    places = np.concatenate([np.zeros((1, 3)), 1.08 * corners / np.linalg.norm(corners[0])])
    potential = LennardJones(1.0, 1.0)
    return potential, begin(potential, NVE(), places, np.linspace(1, 2, 13), temperature=0.1)


def test_constant_energy_keeps_energy_momentum_and_angular_momentum(cluster):
    potential, state = cluster
    _, frames = run(potential, NVE(), state, 0.002, 4000, 20)
    slope = np.polyfit(0.002 * frames.step, frames.conserved, 1)[0]
    assert abs(slope) < 1e-5 * frames.kinetic.mean()
    assert np.abs(frames.momenta.sum(axis=1)).max() < 1e-12
    assert np.abs(angular(frames)).max() < 1e-10


def test_energy_errors_are_of_second_order(argon, fluid):
    errors = []
    for dt in (0.004, 0.002):
        _, frames = run(argon, NVE(), fluid, dt, round(0.8 / dt), round(0.04 / dt))
        errors.append(np.std(frames.conserved))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.25)


@pytest.mark.parametrize("ensemble", [NVE(), NoseHoover(TEMPERATURE, 0.2)], ids=["nve", "nose-hoover"])
def test_what_can_be_reversed_comes_back(ensemble, argon, fluid):
    there, _ = run(argon, ensemble, fluid, 0.002, 200, 200)
    back = there
    for _ in range(200):
        back = jax.jit(step)(argon, ensemble, back, -0.002)
    np.testing.assert_allclose(back.positions, fluid.positions, atol=1e-9)
    np.testing.assert_allclose(back.momenta, fluid.momenta, atol=1e-9)


def test_chains_keep_their_energy(argon, fluid):
    _, frames = run(argon, NoseHoover(TEMPERATURE, 0.2), fluid, 0.002, 4000, 20)
    assert np.ptp(frames.kinetic + frames.energy) > 1.0
    assert np.ptp(frames.conserved) < 2e-3 * frames.kinetic.mean()


@thermostats
def test_temperature_and_maxwell_boltzmann(ensemble, argon, fluid):
    """The kinetic energy's mean and variance, and velocities' distribution, within statistical errors."""
    _, frames = run(argon, ensemble, fluid, 0.004, 30000, 20)
    frames = jax.tree.map(lambda each: each[100:], frames)
    found, freedom = mean(frames.temperature), 2 * frames.kinetic[0] / frames.temperature[0]
    assert abs(found.value - TEMPERATURE) < 4 * found.error + 1e-3
    spread = mean((frames.temperature - found.value) ** 2)
    assert abs(spread.value - 2 * TEMPERATURE**2 / freedom) < 4 * spread.error
    velocities = frames.momenta[:: len(frames.step) // 12].ravel() / np.sqrt(TEMPERATURE)
    assert stats.kstest(velocities, "norm").pvalue > 1e-3


@thermostats
def test_equipartition_between_heavy_and_light_atoms(ensemble, argon, fluid):
    masses = jnp.where(jnp.arange(125) % 2 == 0, 1.0, 3.0)
    state = begin(argon, ensemble, fluid.positions, masses, temperature=TEMPERATURE, cell=fluid.cell, skin=0.3)
    _, frames = run(argon, ensemble, state, 0.004, 20000, 20)
    kinetic = 0.5 * (frames.momenta[100:] ** 2).sum(-1) / np.asarray(masses)
    for mass in (1.0, 3.0):
        found = mean(kinetic[:, np.asarray(masses) == mass].mean(axis=1))
        # Where momenta add up to zero, each atom has 1 − m/M of its share.
        kept = 1.0 if isinstance(ensemble, Langevin) else 1 - mass / float(masses.sum())
        assert abs(found.value - 1.5 * TEMPERATURE * kept) < 4 * found.error


def test_an_ideal_gas_has_the_volume_of_its_pressure():
    """⟨V⟩ = (N_free/3 + 1) kT/P with momenta that are free but for their sum."""
    free = Learned(lambda _, positions, cell, neighbours: 0.0 * positions.sum(), None)
    n, pressure = 27, 2.0
    ensemble = NPT(1.0, pressure, 0.1, 0.3, 0.4)
    positions = np.random.default_rng(0).uniform(0, 2.4, (n, 3))
    state = begin(free, ensemble, positions, np.ones(n), temperature=1.0, cell=np.full(3, 2.4))
    _, frames = run(free, ensemble, state, 0.01, 200000, 20)
    volumes = mean(np.prod(frames.cell, axis=-1)[200:])
    assert abs(volumes.value - (n - 1 + 1) / pressure) < 4 * volumes.error
    pressures = mean(frames.pressure[200:])
    assert pressures.error < 0.1
    assert np.ptp(frames.conserved) < 1e-9 * n


def test_free_space_has_no_pressure(argon):
    with pytest.raises(InputError, match="no pressure"):
        begin(argon, THERMOSTATS["npt"], np.array([[0, 0, 0], [0, 0, 1.2]]), np.ones(2))


def test_pressure_is_the_slope_of_the_energy(argon, fluid):
    def energy(scale):
        state = begin(argon, NVE(), scale * fluid.positions, fluid.masses, cell=scale * fluid.cell, skin=0.3)
        return float(state.energy)

    still = replace(fluid, momenta=jnp.zeros_like(fluid.momenta))
    slope = (energy(1 + 1e-5) - energy(1 - 1e-5)) / 2e-5
    assert float(still.virial) == pytest.approx(-slope, rel=1e-6)
    assert float(still.pressure) == pytest.approx(-slope / (3 * float(np.prod(fluid.cell))), rel=1e-6)
