"""Lowest eigenpairs against the whole spectrum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jqc.davidson import lowest, orthonormal


def matrix(size: int, seed: int, coupling: float = 0.05) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(size, size), scale=coupling)
    return np.diag(np.linspace(-1.0, 20.0, size)) + noise + noise.T


@settings(max_examples=15, deadline=None)
@given(size=st.integers(3, 120), seed=st.integers(0, 100), roots=st.integers(1, 3))
def test_lowest_eigenpairs(size, seed, roots):
    whole = matrix(size, seed)
    found = lowest(lambda block: block @ whole, np.diag(whole), roots, max_iterations=200)
    assert found.converged
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(whole)[:roots], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(roots), rtol=0, atol=1e-8)


def test_degenerate_roots_are_all_found():
    whole = np.diag(np.repeat([1.0, 2.0, 3.0], 20))
    found = lowest(lambda block: block @ whole, np.diag(whole), 4)
    np.testing.assert_allclose(found.values, 1.0, atol=1e-8)


def test_blocks_keep_their_length():
    whole, lengths = matrix(60, 1), set()

    def product(block):
        lengths.add(len(block))
        return block @ whole

    lowest(product, np.diag(whole), 2)
    assert len(lengths) == 1


def test_running_out_of_iterations_is_told():
    whole = matrix(100, 2, coupling=0.5)
    assert not lowest(lambda block: block @ whole, np.diag(whole), 2, max_iterations=2).converged
    with pytest.raises(ValueError, match="at least 1"):
        lowest(lambda block: block @ whole, np.diag(whole), 2, max_iterations=0)


def test_orthonormal_drops_what_is_there_already():
    rows = np.eye(4)[:2]
    assert len(orthonormal(np.array([[1.0, 1.0, 0.0, 0.0]]), rows)) == 0
    np.testing.assert_allclose(abs(orthonormal(np.array([[1.0, 0.0, 3.0, 0.0]]), rows)), [[0, 0, 1, 0]], atol=1e-12)
