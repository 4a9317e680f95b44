"""Walkers: each goes its own way, as it would alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import InputError, SimulationError
from jqc.md import CSVR, NVE, Langevin, LennardJones, Limits, begin, joined, of_walker, simulate, walkers
from jqc.md.restart import load, save

NUMBER = 3


def frames_of(potential, ensemble, state, steps, **options):
    parts = list(simulate(potential, ensemble, state, 0.004, steps, stride=10, **options))
    return parts[-1][0], joined([frames for _, frames in parts])


@pytest.mark.parametrize("ensemble", [NVE(), Langevin(1.2, 1.0), CSVR(1.2, 0.2)], ids=["nve", "langevin", "csvr"])
def test_a_walker_goes_as_it_would_alone(ensemble, argon, fluid):
    many = walkers(ensemble.start(fluid), NUMBER, temperature=1.2)
    last, frames = frames_of(argon, ensemble, many, 200, chunk=5)
    assert frames.positions.shape == (20, NUMBER, 125, 3)
    assert np.abs(frames.positions[-1, 0] - frames.positions[-1, 1]).max() > 0.1
    for number in range(NUMBER):
        alone, of_one = frames_of(argon, ensemble, of_walker(many, number), 200, chunk=5)
        own = of_walker(frames, number, axis=1)
        # Rounding differs between programs, and grows: fivefold by then.
        np.testing.assert_allclose(own.positions, of_one.positions, atol=1e-9)
        np.testing.assert_allclose(own.conserved, of_one.conserved, atol=1e-8)
        np.testing.assert_array_equal(own.step, of_one.step)
        np.testing.assert_allclose(of_walker(last, number).momenta, alone.momenta, atol=1e-8)


def test_each_has_the_temperature(argon, fluid):
    many = walkers(fluid, NUMBER, temperature=0.7)
    np.testing.assert_allclose(many.temperature, 0.7, rtol=1e-12)
    assert len({float(momenta[0, 0]) for momenta in many.momenta}) == NUMBER
    same = walkers(fluid, NUMBER)
    np.testing.assert_array_equal(same.momenta[1], fluid.momenta)
    assert len({tuple(np.asarray(jax.random.key_data(key))) for key in same.key}) == NUMBER


def test_lists_that_become_too_short_change_nothing(lattice):
    """A gas of which each walker comes together at a time of its own."""
    positions, cell = lattice(4, 0.02)
    deep = LennardJones(10.0, 1.0, cutoff=3.0)
    state = begin(deep, NVE(), positions, np.ones(64), cell=cell, skin=0.3)
    many = walkers(state, NUMBER)
    towards = -jnp.asarray([0.5, 1.0, 1.5])[:, None, None] * (many.positions - 0.5 * cell)
    last, frames = frames_of(deep, NVE(), replace(many, momenta=towards), 200, chunk=5)
    assert last.neighbours.index.shape[2] > state.neighbours.index.shape[1]
    assert np.all(np.ptp(frames.conserved, axis=0) < 0.02 * frames.kinetic.mean(axis=0))


def test_restarts(argon, fluid, tmp_path):
    ensemble = Langevin(1.2, 1.0)
    first = walkers(ensemble.start(fluid), NUMBER, temperature=1.2)
    half, _ = frames_of(argon, ensemble, first, 20)
    save(tmp_path / "state.npz", half)
    last, _ = frames_of(argon, ensemble, half, 40)
    again, _ = frames_of(argon, ensemble, load(tmp_path / "state.npz", first), 40)
    np.testing.assert_array_equal(again.positions, last.positions)


def test_limits_name_the_walker(argon, fluid):
    many = walkers(fluid, NUMBER)
    hot = replace(many, momenta=many.momenta.at[1].mul(10.0))
    with pytest.raises(SimulationError, match="walker 1: its temperature"):
        frames_of(argon, NVE(), hot, 20, limits=Limits(hottest=50.0))


def test_bad_input(argon, fluid):
    many = walkers(fluid, NUMBER)
    for state, number in ((fluid, 0), (many, 2)):
        with pytest.raises(InputError, match="walkers cannot be had"):
            walkers(state, number)

    class OnHost:
        def evaluate_on_host(self, positions, cell, memory, recorded):
            raise AssertionError

    with pytest.raises(InputError, match="can be compiled"):
        next(simulate(OnHost(), NVE(), many, 0.004, 10))
