"""Linear equations of a large symmetric operator that is known by its products, for many right-hand sides at once.

All right-hand sides share one subspace on the host, so that what one needs serves the others; Pople, Krishnan, Schlegel
& Binkley, Int. J. Quantum Chem. Symp. 13, 225 (1979), doi:10.1002/qua.560160825.
"""

import numpy as np

from jqc.davidson import Product, orthonormal, padded_product, paired_corrections
from jqc.errors import ConvergenceError


def solve_paired(
    plus: Product,
    minus: Product,
    diagonal: np.ndarray,
    right: np.ndarray,
    frequency: float = 0.0,
    tolerance: float = 1e-7,
    max_iterations: int = 60,
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors p and m (row, n) of P p − ω m = b, M m − ω p = 0 for the rows b of `right`; m = 0 without a frequency.

    `diagonal` approximates that of both symmetric operators; a residual is relative to the largest row of `right`.

    Raises
    ------
    ConvergenceError
        Residuals stay above the tolerance: P is singular, or ω is close to an eigenvalue.

    >>> matrix = np.diag(np.arange(1.0, 21.0)) + 0.1
    >>> p, _ = solve_paired(lambda b: b @ matrix, lambda b: b, np.arange(1.0, 21.0), np.ones((1, 20)))
    >>> bool(np.allclose(p @ matrix, 1.0))
    True
    """
    scale = max(np.linalg.norm(right, axis=1).max(), np.finfo(float).tiny)
    basis = orthonormal(_preconditioned(right, np.zeros_like(right), diagonal, frequency))
    plus_images = minus_images = np.zeros((0, diagonal.size))
    residuals = np.full(len(right), np.inf)
    p = m = np.zeros_like(right)
    for _ in range(max_iterations):
        if not len(basis):
            break
        new = basis[len(plus_images) :]
        plus_images = np.concatenate([plus_images, padded_product(plus, new)])
        if frequency:
            minus_images = np.concatenate([minus_images, padded_product(minus, new)])
        try:
            in_p, in_m = _projected(basis, plus_images, minus_images, right, frequency)
        except np.linalg.LinAlgError:
            break
        p, m = in_p @ basis, in_m @ basis
        p_error = right - in_p @ plus_images + frequency * m
        m_error = frequency * p - in_m @ minus_images if frequency else np.zeros_like(p)
        residuals = np.maximum(np.linalg.norm(p_error, axis=1), np.linalg.norm(m_error, axis=1)) / scale
        still_open = residuals > tolerance
        if not still_open.any():
            return p, m
        if len(basis) == diagonal.size:
            break
        added = orthonormal(_preconditioned(p_error[still_open], m_error[still_open], diagonal, frequency), basis)
        if not len(added):
            break
        basis = np.concatenate([basis, added])
    if residuals.max() > tolerance and right.any():
        raise ConvergenceError(
            f"the response stopped at a residual of {residuals.max():.1e}; the reference is close to an instability or "
            "the frequency to an excitation energy."
        )
    return p, m


def _projected(basis, plus_images, minus_images, right, frequency) -> tuple[np.ndarray, np.ndarray]:
    """Both solutions in the subspace."""
    p_matrix, target = basis @ plus_images.T, basis @ right.T
    if not frequency:
        return np.linalg.solve(p_matrix, target).T, np.zeros((len(right), len(basis)))
    coupling = -frequency * np.eye(len(basis))
    both = np.block([[p_matrix, coupling], [coupling, basis @ minus_images.T]])
    found = np.linalg.solve(both, np.concatenate([target, np.zeros_like(target)])).T
    return found[:, : len(basis)], found[:, len(basis) :]


def _preconditioned(p_error, m_error, diagonal, frequency) -> np.ndarray:
    """Corrections to p, and to m at a frequency."""
    p, m = paired_corrections(p_error, m_error, diagonal, np.full(len(p_error), frequency))
    return np.concatenate([p, m]) if frequency else p
