"""Lowest eigenpairs against the whole spectrum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jqc.davidson import lowest, lowest_paired, orthonormal
from jqc.errors import InstabilityError


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


def paired(size: int, seed: int, coupling: float = 0.02) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P and M with a common diagonal that has degenerate sets, and every ω."""
    rng = np.random.default_rng(seed)
    diagonal = np.repeat(np.linspace(0.5, 10.0, -(-size // 2)), 2)[:size]
    noises = [rng.normal(size=(size, size), scale=coupling) for _ in range(2)]
    plus, minus = (np.diag(diagonal) + noise + noise.T for noise in noises)
    return plus, minus, np.sqrt(np.sort(np.linalg.eigvals(plus @ minus).real))


@settings(max_examples=15, deadline=None)
@given(size=st.integers(4, 100), seed=st.integers(0, 100), roots=st.integers(1, 4))
def test_lowest_solutions_of_linear_response(size, seed, roots):
    plus, minus, expected = paired(size, seed)
    found = lowest_paired(lambda b: b @ plus, lambda b: b @ minus, np.diag(plus), roots, tolerance=1e-7)
    assert found.converged
    np.testing.assert_allclose(found.values, expected[:roots], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.vectors @ plus, found.values[:, None] * found.partners, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.partners @ minus, found.values[:, None] * found.vectors, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.vectors @ found.partners.T, np.eye(roots), rtol=0, atol=1e-6)


def test_an_iteration_takes_one_product_of_either_kind_for_each_root():
    plus, minus, _ = paired(200, 1)
    counts = {"plus": 0, "minus": 0}

    def counted(name, matrix):
        def product(block):
            counts[name] += int((np.abs(block).sum(axis=1) > 0).sum())
            return block @ matrix

        return product

    found = lowest_paired(counted("plus", plus), counted("minus", minus), np.diag(plus), 4)
    assert found.converged
    assert counts["plus"] == found.products
    assert counts["minus"] <= found.products + 4
    assert found.products <= 60


@pytest.mark.parametrize("side", [0, 1])
def test_an_unstable_reference_is_told(side):
    matrices = [np.diag(np.arange(1.0, 21.0)) for _ in range(2)]
    matrices[side][0, 0] = -0.1
    with pytest.raises(InstabilityError):
        lowest_paired(lambda b: b @ matrices[0], lambda b: b @ matrices[1], np.arange(1.0, 21.0), 2)
