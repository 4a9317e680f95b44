"""Observables on cases whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jqc.errors import InputError
from jqc.md.observables import (
    autocorrelation,
    density_of_states,
    diffusivity,
    distance_histogram,
    free_energy,
    infrared,
    infrared_sum,
    mean,
    msd,
    power_spectrum,
    radius_of_gyration,
    raman_activity,
    rdf,
    rdf_of,
    rmsd,
    rmsf,
    stable_frames,
)
from jqc.md.observables.pairs import all_pairs, pairs_between
from jqc.md.observables.vibrational import Spectrum, lowered, raman
from jqc.units import AMU, ANGSTROM, IR_INTENSITY, WAVENUMBER


@pytest.fixture
def random():
    return np.random.default_rng(0)


# --- pairs ---


@pytest.mark.parametrize("width", [0.0, 0.05])
def test_an_ideal_gas_has_no_structure(width, random):
    cell = np.array([10.0, 11.0, 12.0])
    positions = jnp.asarray(random.uniform(0, 1, (200, 60, 3)) * cell)
    found = rdf(positions, cell, np.linspace(1.0, 5.0, 9), width=width)
    np.testing.assert_allclose(found, 1.0, atol=0.03)


def test_a_lattice_has_its_shells():
    places = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3).astype(float)
    edges = np.array([0.9, 1.1, 1.3, 1.5, 1.7, 1.8])
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    found = rdf(jnp.asarray(places)[None], np.full(3, 6.0), edges)
    # 6, 12 and 8 neighbours of each atom at 1, √2 and √3; of 216 atoms 215 are others.
    np.testing.assert_allclose(np.asarray(found) * shells * 215 / 216, [6, 0, 12, 0, 8], atol=1e-9)


def test_smeared_pairs_have_slopes(random):
    cell, edges = jnp.full(3, 8.0), jnp.linspace(1.0, 4.0, 13)
    positions = jnp.asarray(random.uniform(0, 8, (20, 3)))
    along = jnp.asarray(random.normal(size=positions.shape))
    weights = jnp.asarray(random.normal(size=12))
    of = jax.jit(lambda r: weights @ rdf_of(r, cell, edges, jnp.asarray(all_pairs(20)), 0.1))
    slope = float(jnp.sum(jax.grad(of)(positions) * along))
    h = 1e-4
    expected = (float(of(positions + h * along)) - float(of(positions - h * along))) / (2 * h)
    assert slope == pytest.approx(expected, rel=1e-5)


def test_pairs_of_two_kinds():
    assert pairs_between([0, 1], [1, 2]).tolist() == [[0, 1], [0, 2], [1, 2]]
    positions = jnp.zeros((1, 3, 3)).at[0, :, 0].set(jnp.array([0.0, 1.0, 3.0]))
    found = distance_histogram(positions, jnp.array([0.5, 1.5, 2.5, 3.5]), pairs=np.array([[0, 1], [0, 2]]))
    assert found.tolist() == [0.5, 0.0, 0.5]


def test_histograms_of_all_distances_have_unit_area(random):
    positions = jnp.asarray(random.normal(size=(10, 8, 3)))
    edges = jnp.linspace(0, 20, 101)
    assert float(distance_histogram(positions, edges).sum() * 0.2) == pytest.approx(1)


# --- motion ---


def test_a_random_walk_diffuses(random):
    """D = σ²/2Δt of steps with variance σ² in each direction."""
    steps = random.normal(0, 0.3, (6000, 40, 3))
    found = diffusivity(np.cumsum(steps, axis=0), 0.5)
    assert abs(found.value - 0.3**2 / 2 / 0.5) < 4 * found.error
    assert found.error < 0.1 * found.value


def test_displacements_are_those_of_the_definition(random):
    positions = random.normal(size=(30, 4, 3)) + 7.0
    expected = [
        np.mean(np.sum((positions[lag:] - positions[: 30 - lag]) ** 2, axis=-1)) if lag else 0.0 for lag in range(30)
    ]
    np.testing.assert_allclose(msd(positions), expected, atol=1e-10)


def test_correlations_are_those_of_the_definition(random):
    series = random.normal(size=(40, 2, 3))
    expected = [np.mean(np.sum(series[lag:] * series[: 40 - lag], axis=(1, 2))) for lag in range(20)]
    np.testing.assert_allclose(autocorrelation(jnp.asarray(series)), expected, atol=1e-10)


def test_a_spectrum_keeps_the_area_and_finds_the_line():
    time = 0.1 * np.arange(4000)
    series = 2.0 * np.cos(3.0 * time + 0.4)
    omega, density = power_spectrum(autocorrelation(jnp.asarray(series)[:, None]), 0.1)
    area = float(jnp.sum(density[1:-1]) + 0.5 * (density[0] + density[-1])) * float(omega[1])
    assert area == pytest.approx(2.0, rel=1e-3)
    assert float(omega[jnp.argmax(density)]) == pytest.approx(3.0, abs=2 * float(omega[1]))


# --- spectra ---

MODES = np.array([500.0, 1500.0, 3000.0])
INTERVAL = 20.0
TEMPERATURE = 300 / 315775.0


def oscillations(frames: int, random) -> np.ndarray:
    """Mass-weighted coordinates of independent modes, each with its kinetic energy of kT/2 on average."""
    omega = MODES / WAVENUMBER
    time = INTERVAL * np.arange(frames)
    return np.sqrt(2 * TEMPERATURE) / omega * np.cos(omega * time[:, None] + random.uniform(0, 6, 3))


def test_infrared_bands_have_the_intensities_of_normal_modes(random):
    """Three modes along three directions, of 42.3, 3.8 and 0.4: their ratios are kept."""
    slopes = np.diag([1.0, 0.3, 0.1])
    dipoles = oscillations(40000, random) @ slopes
    found = infrared(dipoles, INTERVAL, TEMPERATURE)
    for mode, slope in zip(MODES, np.diag(slopes), strict=True):
        assert found.area(mode - 150, mode + 150) == pytest.approx(IR_INTENSITY * slope**2, rel=0.01)
        assert found.wavenumbers[np.argmax(found.density * (abs(found.wavenumbers - mode) < 150))] == pytest.approx(
            mode, abs=2
        )


def test_the_sum_rule_holds(random):
    smooth = oscillations(20000, random) * 0.3
    found = infrared(smooth, INTERVAL, TEMPERATURE)
    expected = infrared_sum(smooth, INTERVAL, TEMPERATURE)
    bare = Spectrum(found.wavenumbers, found.density * lowered(found, INTERVAL))
    assert bare.area() == pytest.approx(expected, rel=1e-9)
    assert found.area(high=4000) == pytest.approx(IR_INTENSITY * 3 * 0.3**2, rel=0.01)


def test_raman_activities_are_those_of_normal_modes(random):
    """45a′² + 7γ′² of an isotropic, an axial and an off-diagonal change."""
    changes = np.zeros((3, 3, 3))
    changes[0] = 0.4 * np.eye(3)
    changes[1] = np.diag([0.0, 0.0, 0.6])
    changes[2, 0, 1] = changes[2, 1, 0] = 0.5
    series = np.einsum("tm,mij->tij", oscillations(40000, random), changes)
    expected = [45 * 0.4**2, 45 * 0.2**2 + 7 * 0.6**2, 7 * 3 * 0.5**2]
    found = raman_activity(series, INTERVAL, TEMPERATURE)
    for mode, activity in zip(MODES, expected, strict=True):
        area = found.area(mode - 150, mode + 150)
        assert area == pytest.approx(activity * ANGSTROM**4 / AMU, rel=0.01)
    parallel, across = raman(series, INTERVAL, TEMPERATURE)
    ratio = [across.area(mode - 150, mode + 150) / parallel.area(mode - 150, mode + 150) for mode in MODES]
    assert ratio[0] < 1e-6
    assert ratio[1] == pytest.approx((0.36 / 15) / (0.04 + 4 * 0.36 / 45), rel=0.01)
    assert ratio[2] == pytest.approx(0.75, rel=1e-3)


def test_densities_of_states_count_modes(random):
    """Momenta of one atom of mass 2 in a well with three frequencies."""
    omega = MODES / WAVENUMBER
    time = INTERVAL * np.arange(40000)
    momenta = np.sqrt(2 * 2 * TEMPERATURE) * np.sin(omega * time[:, None] + random.uniform(0, 6, 3))
    found = density_of_states(momenta[:, None], np.array([2.0]), INTERVAL, TEMPERATURE)
    assert found.area() == pytest.approx(3, rel=0.01)
    assert found.area(1400, 1600) == pytest.approx(1, rel=0.01)


# --- structure, profiles, errors ---


def test_superposition_undoes_rotation_and_translation(random):
    reference = random.normal(size=(7, 3))
    turns = Rotation.random(5, random_state=0).as_matrix()
    moved = np.einsum("fij,aj->fai", turns, reference) + random.normal(size=(5, 1, 3))
    np.testing.assert_allclose(rmsd(jnp.asarray(moved), jnp.asarray(reference)), 0.0, atol=1e-7)
    mirrored = jnp.asarray(reference * [1, 1, -1])
    assert float(rmsd(mirrored, jnp.asarray(reference))) > 0.1
    noisy = reference + random.normal(0, 0.01, reference.shape)
    assert float(rmsd(jnp.asarray(noisy), jnp.asarray(reference))) == pytest.approx(
        np.sqrt(np.mean(np.sum((noisy - reference) ** 2, axis=1))), rel=0.3
    )


def test_fluctuations_and_sizes(random):
    reference = 5 * random.normal(size=(40, 3))
    frames = reference + random.normal(0, 0.1, (4000, 40, 3))
    np.testing.assert_allclose(rmsf(jnp.asarray(frames)).mean(), 0.1 * np.sqrt(3) * np.sqrt(1 - 6 / 120), rtol=0.01)
    two = jnp.array([[0.0, 0, 0], [3.0, 0, 0]])
    assert float(radius_of_gyration(two, jnp.array([1.0, 2.0]))) == pytest.approx(np.sqrt(2.0))


def test_frames_are_stable_until_a_bond_breaks():
    positions = np.zeros((5, 2, 3))
    positions[:, 1, 0] = [1.0, 1.2, 1.4, 1.9, 1.0]
    assert stable_frames(positions, np.array([[0, 1]]), np.array([1.0]), 0.5) == 3
    assert stable_frames(positions, np.array([[0, 1]]), np.array([1.0]), 1.5) == 5
    positions[1] = np.nan
    assert stable_frames(positions, np.array([[0, 1]]), np.array([1.0]), 0.5) == 1


def test_profiles_of_a_harmonic_well(random):
    found = free_energy(random.normal(0, 0.5, 200000), 0.7, np.linspace(-0.8, 0.8, 9))
    expected = 0.7 * found.centres**2 / (2 * 0.25)
    assert np.all(np.abs(found.energies - expected + expected.min()) < 4 * found.errors + 0.01)
    assert 0 < found.errors.max() < 0.02


def test_weights_undo_a_bias(random):
    values = random.uniform(-1, 1, 100000)
    found = free_energy(values, 1.0, np.linspace(-1, 1, 9), weights=np.exp(-values))
    np.testing.assert_allclose(found.energies - found.energies[0], found.centres - found.centres[0], atol=0.05)


def test_errors_of_correlated_means(random):
    """An autoregressive series, whose mean's error is √((1 + c)/(1 − c)) times that of independent numbers."""
    c, n = 0.9, 2**16
    noise = random.normal(size=n)
    series = np.empty(n)
    series[0] = noise[0]
    for i in range(1, n):
        series[i] = c * series[i - 1] + np.sqrt(1 - c**2) * noise[i]
    found = mean(series)
    assert found.error == pytest.approx(np.sqrt((1 + c) / (1 - c) / n), rel=0.25)
    assert found.correlation == pytest.approx(0.5 * (1 + c) / (1 - c), rel=0.5)
    assert mean(random.normal(size=n)).error == pytest.approx(1 / np.sqrt(n), rel=0.1)


def test_bad_input(random):
    frames = jnp.asarray(random.uniform(0, 8, (4, 5, 3)))
    edges = np.linspace(0, 3, 4)
    with pytest.raises(InputError, match="needs a cell"):
        rdf(frames, None, edges)
    with pytest.raises(InputError, match="half of the cell"):
        rdf(frames, np.full(3, 5.0), edges)
    with pytest.raises(InputError, match="lags"):
        autocorrelation(frames, 9)
    with pytest.raises(InputError, match="blocks"):
        diffusivity(np.asarray(frames), 1.0)
    with pytest.raises(InputError, match="no spectrum"):
        infrared(np.zeros((4, 3)), 1.0, 1.0)
    with pytest.raises(InputError, match="make no profile"):
        free_energy(np.zeros(4), 1.0, edges)
    with pytest.raises(InputError, match="at least 4"):
        mean(np.zeros(3))
