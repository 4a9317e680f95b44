"""Linear equations in a shared subspace against dense solutions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jqc.errors import ConvergenceError
from jqc.krylov import solve_paired


def positive(size: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(size, size), scale=0.05)
    return np.diag(np.linspace(0.5, 20.0, size)) + noise @ noise.T


@settings(max_examples=20, deadline=None)
@given(size=st.integers(2, 80), seed=st.integers(0, 100), rows=st.integers(1, 9), frequency=st.sampled_from([0.0, 0.2]))
def test_solutions_equal_dense_ones(size, seed, rows, frequency):
    plus, minus = positive(size, seed), positive(size, seed + 1)
    right = np.random.default_rng(seed + 2).normal(size=(rows, size))
    p, m = solve_paired(lambda b: b @ plus, lambda b: b @ minus, np.diag(plus), right, frequency, 1e-9, 200)
    coupling = -frequency * np.eye(size)
    whole = np.block([[plus, coupling], [coupling, minus]])
    expected = np.linalg.solve(whole, np.concatenate([right, np.zeros_like(right)], axis=1).T).T
    np.testing.assert_allclose(np.concatenate([p, m], axis=1), expected, atol=1e-6 * np.abs(expected).max())


def test_zero_right_hand_sides():
    p, m = solve_paired(lambda b: b, lambda b: b, np.ones(4), np.zeros((2, 4)))
    assert not p.any()
    assert not m.any()


def test_a_singular_operator_is_refused():
    singular = np.diag([0.0, 1.0, 2.0, 3.0])
    with pytest.raises(ConvergenceError, match="stopped at a residual"):
        solve_paired(lambda b: b @ singular, lambda b: b, np.ones(4), np.ones((1, 4)))
