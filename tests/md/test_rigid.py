"""Rigid bonds: lengths, conservation, what thermostats make of them, and gradients."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import InputError, SimulationError
from jqc.md import CSVR, NPT, NVE, Langevin, Learned, LennardJones, NoseHoover, begin, joined, simulate
from jqc.md.gradients import Adjoint, Checkpointed, Sampling
from jqc.md.observables import distances, mean
from jqc.md.step import step

WATER = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-0.33, 0.94, 0.0]])
BONDS = [(0, 1), (0, 2), (1, 2)]
TEMPERATURE = 0.7


def attracted(k, positions, cell, neighbours):
    """Every atom by every other, unevenly."""
    charges = 1.0 + jnp.arange(len(positions)) / 4
    apart = positions[:, None] - positions
    return 0.05 * k * jnp.einsum("i,j,ijx->", charges, charges, apart**2)


@pytest.fixture(scope="module")
def trimers():
    """Three rigid triangles of unequal masses that springs hold together."""
    positions = np.concatenate([WATER + shift for shift in ([0, 0, 0], [0.5, 2.0, 1.0], [1.0, -1.0, 1.5])])
    pairs = [(i + 3 * n, j + 3 * n) for n in range(3) for i, j in BONDS]
    masses = np.tile([16.0, 1.0, 2.0], 3)
    potential = Learned(attracted, jnp.asarray(1.0))
    return potential, begin(potential, NVE(), positions, masses, temperature=TEMPERATURE, rigid=pairs)


def frames_of(potential, ensemble, state, dt, steps, stride):
    parts = list(simulate(potential, ensemble, ensemble.start(state), dt, steps, stride=stride))
    return parts[-1][0], joined([frames for _, frames in parts])


def test_momenta_that_are_drawn_change_no_length(trimers):
    _, state = trimers
    velocities = state.momenta / state.masses[:, None]
    bonds, rates = (x[state.rigid.pairs[:, 0]] - x[state.rigid.pairs[:, 1]] for x in (state.positions, velocities))
    assert np.abs(np.sum(bonds * rates, axis=1)).max() < 1e-12
    assert float(state.freedom) == 27 - 6 - 9
    assert float(state.temperature) == pytest.approx(TEMPERATURE)
    assert np.abs(state.momenta.sum(axis=0)).max() < 1e-12


@pytest.mark.parametrize(
    "ensemble", [NVE(), NoseHoover(TEMPERATURE, 0.5), CSVR(TEMPERATURE, 0.5), Langevin(TEMPERATURE, 1.0)]
)
def test_lengths_and_energy_stay(ensemble, trimers):
    potential, state = trimers
    _, frames = frames_of(potential, ensemble, state, 0.02, 4000, 20)
    found = distances(jnp.asarray(frames.positions), state.rigid.pairs)
    assert np.abs(found - state.rigid.lengths).max() < 1e-9
    spread = np.ptp(frames.conserved) / frames.kinetic.mean()
    assert spread < (0.05 if isinstance(ensemble, Langevin) else 0.01)


def test_energy_errors_are_of_second_order(trimers):
    potential, state = trimers
    errors = [
        np.std(frames_of(potential, NVE(), state, dt, round(4 / dt), round(0.2 / dt))[1].conserved)
        for dt in (0.04, 0.02)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("ensemble", [CSVR(TEMPERATURE, 0.5), Langevin(TEMPERATURE, 1.0)], ids=["csvr", "langevin"])
def test_temperature_and_what_rigid_bodies_share(ensemble, trimers):
    """The kinetic energy of each triangle's centre is that of any particle."""
    potential, state = trimers
    _, frames = frames_of(potential, ensemble, state, 0.05, 60000, 20)
    found = mean(frames.temperature[100:])
    assert abs(found.value - TEMPERATURE) < 4 * found.error + 1e-3
    if isinstance(ensemble, Langevin):
        whole = frames.momenta[100:].reshape(-1, 3, 3, 3).sum(axis=2)
        centres = mean((whole**2).sum(axis=-1).mean(axis=1) / (2 * 19.0))
        assert abs(centres.value - 1.5 * TEMPERATURE) < 4 * centres.error + 1e-3


def test_steps_can_be_run_backwards(trimers):
    potential, state = trimers
    there, _ = frames_of(potential, NVE(), state, 0.02, 200, 200)
    back = there
    for _ in range(200):
        back = jax.jit(step)(potential, NVE(), back, -0.02)
    np.testing.assert_allclose(back.positions, state.positions, atol=1e-9)


@pytest.mark.parametrize("way", [Checkpointed(), Adjoint()], ids=["checkpointed", "adjoint"])
def test_gradients(way, trimers):
    potential, state = trimers
    sampling = Sampling(0.02, 10, 10, lambda state: jnp.sum(state.positions[0] ** 2))
    of = jax.jit(lambda potential: way.mean(potential, NVE(), state, sampling)[1])
    moved = lambda h: float(of(replace(potential, parameters=potential.parameters + h)))  # noqa: E731
    expected = (8 * (moved(1e-3) - moved(-1e-3)) - (moved(2e-3) - moved(-2e-3))) / 12e-3
    assert float(jax.grad(of)(potential).parameters) == pytest.approx(expected, rel=1e-6)


def test_bonds_across_the_edge_of_a_cell():
    dimers = np.array([[0.1, 1.0, 1.0], [4.9, 1.0, 1.0], [2.0, 3.0, 3.0], [2.0, 3.3, 3.0]])
    argon = LennardJones(1.0, 0.2, cutoff=1.0)
    state = begin(
        argon, NVE(), dimers, np.ones(4), temperature=1.0, cell=np.full(3, 5.0), rigid=[(0, 1), (3, 2)], skin=0.2
    )
    np.testing.assert_allclose(state.rigid.lengths, [0.2, 0.3])
    _, frames = frames_of(argon, NVE(), state, 0.002, 2000, 20)
    found = distances(jnp.asarray(frames.positions), state.rigid.pairs, state.cell)
    assert np.abs(found - state.rigid.lengths).max() < 1e-9
    assert frames.pressure is None
    with pytest.raises(InputError, match="no pressure"):
        NPT(1.0, 1.0, 0.1, 0.1, 0.1).start(state)


def test_a_step_too_long_says_so(trimers):
    potential, state = trimers
    fast = replace(state, momenta=30 * state.momenta)
    with pytest.raises(SimulationError, match="no number"):
        frames_of(potential, NVE(), fast, 0.5, 100, 1)


def test_bad_input():
    potential = Learned(attracted, jnp.asarray(1.0))
    for pairs, words in (
        ([(0, 3)], "none among 3 atoms"),
        ([(1, 1)], "none among"),
        ([(0, 1), (1, 0)], "given twice"),
        ([(0.0, 1.0)], "pairs of atoms' numbers"),
        ([(0, 1, 2)], "pairs of atoms' numbers"),
    ):
        with pytest.raises(InputError, match=words):
            begin(potential, NVE(), WATER, np.ones(3), rigid=pairs)
