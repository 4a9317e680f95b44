"""Convergence acceleration on problems whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jqc.scf import diis

ROUNDING = 1e-12

SLOTS, N = 5, 4
SEEDS = st.integers(0, 2**32 - 1)

push = jax.jit(diis.push)
extrapolate = jax.jit(diis.extrapolate)
commutator_coefficients = jax.jit(diis.commutator_coefficients)
energy_coefficients = jax.jit(diis.energy_coefficients)
project = jax.jit(diis.project_simplex)


def symmetric(seed: int, spins: int = 1) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(size=(spins, N, N))
    return matrix + matrix.swapaxes(1, 2)


def projector(seed: int, spins: int = 1) -> np.ndarray:
    """Density matrix of two electrons in an orthonormal basis."""
    vectors = np.linalg.eigh(symmetric(seed, spins))[1][:, :, :2]
    return vectors @ vectors.swapaxes(1, 2)


def history_of(pairs) -> diis.History:
    history = diis.init(SLOTS, jnp.asarray(pairs[0][0]))
    for fock, dm in pairs:
        history = push(history, jnp.asarray(fock), jnp.asarray(dm))
    return history


def random_history(seed: int, length: int, spins: int = 1) -> diis.History:
    return history_of([(symmetric(seed + i, spins), projector(seed + 99 + i, spins)) for i in range(length)])


# --- commutator ---


def test_commutator_vanishes_at_a_solution():
    fock = symmetric(1, 2)
    vectors = np.linalg.eigh(fock)[1][:, :, :2]
    assert np.abs(diis.commutator(fock, vectors @ vectors.swapaxes(1, 2))).max() < ROUNDING


def test_commutator_is_antisymmetric_and_alive_elsewhere():
    error = diis.commutator(symmetric(1, 2), projector(2, 2))
    np.testing.assert_allclose(error, -error.swapaxes(1, 2), atol=ROUNDING)
    assert np.abs(error).max() > 0.1


# --- history ---


def test_oldest_slot_is_replaced():
    focks = [symmetric(i) for i in range(SLOTS + 2)]
    history = history_of([(fock, projector(0)) for fock in focks])
    for fock in focks[2:]:
        assert np.any(np.all(np.isclose(history.focks, fock), axis=(1, 2, 3)))
    for fock in focks[:2]:
        assert not np.any(np.all(np.isclose(history.focks, fock), axis=(1, 2, 3)))


# --- coefficients ---


@pytest.mark.parametrize("length", range(1, SLOTS + 3))
@pytest.mark.parametrize("coefficients", [commutator_coefficients, energy_coefficients])
def test_coefficients_sum_to_one_and_leave_empty_slots_out(coefficients, length):
    c = np.asarray(coefficients(random_history(3, length)))
    assert c.sum() == pytest.approx(1.0, abs=1e-9)
    assert not c[length:].any()


def test_a_single_fock_matrix_is_kept():
    fock = symmetric(1)
    for weight in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(extrapolate(history_of([(fock, projector(2))]), weight), fock, atol=ROUNDING)


def test_commutator_coefficients_minimise_the_commutator():
    history = random_history(5, SLOTS)
    c = np.asarray(commutator_coefficients(history))
    norm = lambda c: np.linalg.norm(np.einsum("k,ksmn->smn", c, history.errors))  # noqa: E731
    for direction in np.random.default_rng(0).normal(size=(20, SLOTS)):
        assert norm(c) <= norm(c + 1e-3 * (direction - direction.mean()))


def test_extrapolation_solves_a_linear_problem():
    """Errors linear in the Fock matrix, the solution on the line through two of them: found exactly."""
    solution, wrong = symmetric(1), symmetric(2)
    vectors = np.linalg.eigh(solution)[1][:, :, :2]
    dm = vectors @ vectors.swapaxes(1, 2)
    history = history_of([(solution + wrong, dm), (solution - 2 * wrong, dm)])
    np.testing.assert_allclose(extrapolate(history, 0.0), solution, atol=1e-10)


def test_equal_entries_do_no_harm():
    history = history_of([(symmetric(1), projector(2))] * SLOTS)
    np.testing.assert_allclose(extrapolate(history, 0.0), symmetric(1), atol=1e-10)


def test_stationary_entries_do_no_harm():
    fock = symmetric(1)
    vectors = np.linalg.eigh(fock)[1][:, :, :2]
    history = history_of([(fock, vectors @ vectors.swapaxes(1, 2))] * 2)
    np.testing.assert_allclose(extrapolate(history, 0.0), fock, atol=1e-10)


# --- energy DIIS ---


def test_energy_coefficients_find_the_minimum_on_a_line():
    """E[D] = ½|D − T|², F = D − T: the closest point to T between two densities."""
    first, second = projector(1), projector(2)
    target = 0.3 * first + 0.7 * second + 0.01 * symmetric(3)
    pairs = [(dm - target, dm) for dm in (first, second)]
    share = np.sum((target - first) * (second - first)) / np.sum((second - first) ** 2)
    np.testing.assert_allclose(energy_coefficients(history_of(pairs))[:2], [1 - share, share], atol=1e-6)


@given(SEEDS, st.integers(2, SLOTS))
@settings(max_examples=20, deadline=None)
def test_energy_coefficients_never_go_uphill_from_the_newest(seed, length):
    """For a convex energy the combination is at least as low as the newest density, and no extrapolation."""
    target = symmetric(seed % 2**31)
    dms = [projector(seed % 2**31 + 1 + i) for i in range(length)]
    c = np.asarray(energy_coefficients(history_of([(dm - target, dm) for dm in dms])))
    energy = lambda dm: 0.5 * np.sum((dm - target) ** 2)  # noqa: E731
    assert c.min() >= 0
    assert energy(np.einsum("k,ksmn->smn", c[:length], np.stack(dms))) <= energy(dms[-1]) + ROUNDING


def test_weight_blends_the_two():
    history = random_history(8, 4)
    ends = [np.asarray(extrapolate(history, w)) for w in (1e-300, 1.0)]
    np.testing.assert_allclose(extrapolate(history, 0.25), 0.75 * ends[0] + 0.25 * ends[1], atol=1e-10)


# --- simplex ---

VECTORS = st.lists(st.floats(-1e3, 1e3), min_size=SLOTS, max_size=SLOTS).map(np.array)
MASKS = st.integers(1, SLOTS).map(lambda used: (np.arange(SLOTS) < used) * 1.0)


@given(VECTORS, MASKS)
@settings(max_examples=100, deadline=None)
def test_projection_lies_on_the_simplex(c, used):
    p = np.asarray(project(c, used))
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1.0, abs=1e-9)
    assert not p[used == 0].any()


@given(VECTORS, MASKS)
@settings(max_examples=100, deadline=None)
def test_projection_is_the_nearest_point(c, used):
    """No corner of the simplex lies on c's side of the projection: (c − p)·(corner − p) ≤ 0."""
    p = np.asarray(project(c, used))
    for corner in np.eye(SLOTS)[used > 0]:
        assert (c - p) @ (corner - p) <= 1e-8 * (1 + np.abs(c).max())


@given(VECTORS, MASKS)
@settings(max_examples=50, deadline=None)
def test_projecting_again_changes_nothing(c, used):
    p = project(c, used)
    np.testing.assert_allclose(project(p, used), p, atol=1e-9)
