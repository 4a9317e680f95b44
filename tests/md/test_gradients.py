"""Three ways to a gradient: against finite differences, against each other, and where it is chaos."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jqc.errors import InputError, SimulationError
from jqc.md import CSVR, NVE, Langevin, Learned, LennardJones, NoseHoover, begin
from jqc.md.gradients import (
    Adjoint,
    Checkpointed,
    Reweighted,
    Sampling,
    effective_frames,
    gradient,
    horizon,
    reweighted_mean,
)
from jqc.md.gradients.reweighted import weights
from jqc.md.segment import is_crowded, steps, with_longer_list

DT, FRAMES, STRIDE = 0.002, 10, 10


def observe(state):
    """Energies, and how far atoms are from where they would be in a lattice, smoothly."""
    return {"energy": state.energy, "waves": jnp.mean(jnp.cos(2 * jnp.pi * state.positions / state.cell))}


SAMPLING = Sampling(DT, FRAMES, STRIDE, observe)


def loss(averages):
    return averages["energy"] / 100 + averages["waves"] ** 2


@jax.jit
def value(potential, ensemble, state, way=None):
    return loss(Checkpointed().mean(potential, ensemble, state, SAMPLING)[1])


def by_differences(function, step=1e-4):
    """Of fourth order."""
    return (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)


@pytest.fixture(scope="module")
def liquid(lattice):
    potential = LennardJones(jnp.asarray(1.0), jnp.asarray(1.0), cutoff=2.0)
    positions, cell = lattice(5, 0.5)
    return potential, begin(potential, NVE(), positions, np.ones(125), temperature=1.2, cell=cell, skin=0.4)


WAYS = {
    "checkpointed": (Checkpointed(), NVE()),
    "in segments": (Checkpointed(memory=1), NVE()),
    "chains": (Checkpointed(), NoseHoover(1.2, 0.2)),
    "noise": (Checkpointed(), Langevin(1.2, 1.0)),
    "rescaled": (Checkpointed(), CSVR(1.2, 0.2)),
    "adjoint": (Adjoint(), NVE()),
    "adjoint of chains": (Adjoint(), NoseHoover(1.2, 0.2)),
}


@pytest.mark.parametrize("name", WAYS)
def test_gradients_of_a_hundred_steps_are_those_of_finite_differences(name, liquid):
    way, ensemble = WAYS[name]
    potential, state = liquid
    state = ensemble.start(state)
    found = gradient(loss, way, potential, ensemble, state, SAMPLING).check()
    for field in ("epsilon", "sigma"):
        moved = lambda h, field=field: replace(potential, **{field: getattr(potential, field) + h})  # noqa: E731
        expected = by_differences(lambda h: float(value(moved(h), ensemble, state)))  # noqa: B023
        assert float(getattr(found.slope, field)) == pytest.approx(expected, rel=1e-5)
    assert float(found.value) == pytest.approx(float(value(potential, ensemble, state)), rel=1e-10)


@pytest.mark.parametrize("way", [Checkpointed(), Adjoint()], ids=["checkpointed", "adjoint"])
def test_gradients_by_the_first_state(way, liquid):
    potential, state = liquid
    along = np.random.default_rng(0).normal(size=state.momenta.shape)

    @jax.jit
    def of(momenta):
        at = replace(state, momenta=momenta)
        return loss(way.mean(potential, NVE(), at, SAMPLING)[1])

    slope = float(jnp.sum(jax.grad(of)(state.momenta) * along))
    assert slope == pytest.approx(by_differences(lambda h: float(of(state.momenta + h * along))), rel=1e-5)


def test_a_long_trajectory_is_called_chaotic(liquid):
    potential, state = liquid
    seen = horizon(potential, NVE(), state, 0.005, 400, 5)
    assert seen.chaotic_from is not None
    assert 100 < seen.chaotic_from < 2000
    assert 0.3 < seen.exponent < 10
    with pytest.raises(SimulationError, match="chaos from step"):
        gradient(loss, Checkpointed(), potential, NVE(), state, Sampling(0.005, 400, 5, observe)).check()


def test_a_regular_trajectory_is_not():
    spring = Learned(lambda k, positions, cell, neighbours: 0.5 * k * jnp.sum(positions**2), jnp.asarray(1.0))
    state = begin(spring, NVE(), np.eye(3), np.ones(3))
    seen = horizon(spring, NVE(), state, 0.02, 100, 20)
    assert seen.chaotic_from is None
    assert abs(seen.exponent) < 0.05


def test_friction_puts_chaos_off(liquid):
    potential, state = liquid
    free = horizon(potential, NVE(), state, 0.005, 200, 5).exponent
    damped = horizon(potential, Langevin(1.2, 20.0), Langevin(1.2, 20.0).start(state), 0.005, 200, 5).exponent
    assert damped < 0.5 * free


def test_memory_of_the_adjoint_does_not_grow(liquid):
    potential, state = liquid

    def temporaries(way, frames):
        of = lambda potential: loss(way.mean(potential, NVE(), state, Sampling(DT, frames, STRIDE, observe))[1])  # noqa: E731
        return jax.jit(jax.grad(of)).lower(potential).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(Adjoint(), 1000) == temporaries(Adjoint(), 10)
    assert temporaries(Checkpointed(), 1000) > temporaries(Checkpointed(), 10) + 900 * 10 * 125 * 6 * 8
    assert temporaries(Checkpointed(memory=1), 1000) < 0.2 * temporaries(Checkpointed(), 1000)


def test_truncation_and_clipping(liquid):
    potential, state = liquid
    slope = lambda way: gradient(loss, way, potential, NVE(), state, SAMPLING).slope  # noqa: E731
    whole, never, short, clipped = map(
        slope, (Checkpointed(), Checkpointed(truncate=100), Checkpointed(truncate=1), Checkpointed(clip=1e-12))
    )
    assert float(never.sigma) == pytest.approx(float(whole.sigma), rel=1e-12)
    assert float(short.sigma) != pytest.approx(float(whole.sigma), rel=1e-3)
    assert float(clipped.sigma) == pytest.approx(float(short.sigma), rel=1e-6)
    assert float(slope(Checkpointed(clip=1e12)).sigma) == pytest.approx(float(whole.sigma), rel=1e-12)


def test_weights_are_those_of_boltzmann():
    """Springs: averages at another strength from frames of the first."""
    spring = Learned(lambda k, positions, cell, neighbours: 0.5 * k * jnp.sum(positions**2), jnp.asarray(1.0))
    random = np.random.default_rng(0)
    state = begin(spring, NVE(), np.zeros((1, 3)), np.ones(1))
    places = jnp.asarray(random.normal(size=(20000, 1, 3)))
    frames = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (20000, *jnp.shape(leaf))), replace(state, key=jnp.zeros(2))
    )
    frames = replace(frames, positions=places)
    energies = 0.5 * jnp.sum(places**2, axis=(1, 2))
    squared = lambda state: jnp.sum(state.positions**2)  # noqa: E731
    mean_of = lambda k: reweighted_mean(replace(spring, parameters=k), frames, energies, 1.0, squared)  # noqa: E731
    found, slope = jax.value_and_grad(mean_of)(jnp.asarray(1.1))
    assert float(found) == pytest.approx(3 / 1.1, rel=0.03)
    assert float(slope) == pytest.approx(-3 / 1.1**2, rel=0.06)
    assert float(effective_frames(weights(spring, frames, energies, 1.0))) == pytest.approx(20000)
    fewer = [float(effective_frames(weights(replace(spring, parameters=k), frames, energies, 1.0))) for k in (1.1, 2.0)]
    assert 20000 > fewer[0] > fewer[1] > 1


def test_reweighted_gradients_are_covariances(liquid):
    """d⟨O⟩/dθ = ⟨∂O/∂θ⟩ − cov(O, ∂U/∂θ)/kT over the same frames."""
    potential, state = liquid
    ensemble = Langevin(1.2, 1.0)
    state = with_longer_list(with_longer_list(ensemble.start(state)))
    waves = lambda state: observe(state)["waves"]  # noqa: E731
    found = gradient(lambda mean: mean, Reweighted(1.2), potential, ensemble, state, Sampling(0.004, 50, 10, waves))
    assert found.check().horizon is None
    seen, slopes = [], []
    of_sigma = jax.jit(
        jax.grad(lambda sigma, s: replace(potential, sigma=sigma).energy(s.positions, s.cell, s.neighbours))
    )
    run = jax.jit(steps, static_argnames="number")
    for _ in range(50):
        state = run(potential, ensemble, state, 0.004, number=10)
        seen.append(float(waves(state)))
        slopes.append(float(of_sigma(potential.sigma, state)))
    assert not is_crowded(state)
    assert float(found.value) == pytest.approx(np.mean(seen), rel=1e-8)
    expected = -np.cov(seen, slopes, ddof=0)[0, 1] / 1.2
    assert float(found.slope.sigma) == pytest.approx(expected, rel=1e-6)


def test_bad_input(liquid):
    potential, state = liquid
    with pytest.raises(InputError, match="cannot be run backwards"):
        gradient(loss, Adjoint(), potential, Langevin(1.0, 1.0), state, Sampling(DT, 1, 1, observe))
    for options in ({"memory": 0}, {"truncate": 0}, {"clip": 0.0}):
        with pytest.raises(InputError):
            Checkpointed(**options)
    for frames, stride in ((0, 1), (1, 0)):
        with pytest.raises(InputError, match="cannot be averaged"):
            Sampling(DT, frames, stride, observe)
