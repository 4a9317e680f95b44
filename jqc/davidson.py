"""Lowest eigenpairs of a large symmetric operator that is known by its products.

Block Davidson iteration (Davidson, J. Comput. Phys. 17, 87 (1975), doi:10.1016/0021-9991(75)90065-0): a small subspace
on the host, products wherever the operator computes them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jqc.errors import InstabilityError

Product = Callable[[np.ndarray], np.ndarray]
"""Operator on a block of vectors, (block, n) to (block, n); blocks always have the length of the first guesses."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues in rising order, vectors as rows, residual norms, and the products that they took."""

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    products: int
    tolerance: float

    @property
    def converged(self) -> bool:
        """Whether every residual is below the tolerance."""
        return bool((self.residuals <= self.tolerance).all())


def unit_guesses(diagonal: np.ndarray, count: int) -> np.ndarray:
    """Unit vectors at the lowest diagonal elements, with a little of everything so that no symmetry hides a root."""
    rows = np.zeros((count, diagonal.size))
    rows[np.arange(count), np.argsort(diagonal, kind="stable")[:count]] = 1.0
    return rows + 1e-3 * np.random.default_rng(0).normal(size=rows.shape) / (1 + np.abs(diagonal))


def lowest(
    product: Product,
    diagonal: np.ndarray,
    roots: int,
    tolerance: float = 1e-6,
    max_iterations: int = 60,
    guesses: np.ndarray | None = None,
) -> Eigenpairs:
    """The lowest `roots` eigenpairs; `diagonal` approximates the operator's and preconditions residuals.

    >>> matrix = np.diag(np.arange(1.0, 51.0)) + 0.01
    >>> found = lowest(lambda block: block @ matrix, np.arange(1.0, 51.0), roots=2)
    >>> bool(np.allclose(found.values, np.linalg.eigvalsh(matrix)[:2]))
    True
    """
    block = min(diagonal.size, roots + 2) if guesses is None else len(guesses)
    basis = orthonormal(unit_guesses(diagonal, block) if guesses is None else guesses)
    images = padded_product(product, basis, block)
    largest = min(diagonal.size, max(12 * block, 60))
    products = len(basis)
    for iteration in range(max_iterations):
        values, coefficients = np.linalg.eigh(_symmetric(basis @ images.T))
        kept = coefficients[:, :roots].T
        vectors, values = kept @ basis, values[:roots]
        errors = kept @ images - values[:, None] * vectors
        found = Eigenpairs(values, vectors, np.linalg.norm(errors, axis=1), products, tolerance)
        if found.converged or len(basis) == diagonal.size or iteration + 1 == max_iterations:
            return found
        if len(basis) + block > largest:
            keep = coefficients[:, : min(2 * block, len(basis))].T
            basis, images = keep @ basis, keep @ images
        open_roots = found.residuals > tolerance
        new = orthonormal(_corrections(errors[open_roots], diagonal, values[open_roots]), basis)
        if not len(new):
            return found
        images = np.concatenate([images, padded_product(product, new, block)])
        basis = np.concatenate([basis, new])
        products += len(new)
    raise ValueError(f"max_iterations is {max_iterations}; it must be at least 1.")


@dataclass(frozen=True)
class PairedEigenpairs(Eigenpairs):
    """Solutions of P p = ω m, M m = ω p with p·m = 1: p are the vectors, m their partners."""

    partners: np.ndarray


def lowest_paired(
    plus: Product, minus: Product, diagonal: np.ndarray, roots: int, tolerance: float = 1e-5, max_iterations: int = 60
) -> PairedEigenpairs:
    """Lowest ω > 0 of the linear-response problem with P = A + B and M = A − B, both symmetric, M positive.

    One subspace serves both sides (Olsen, Jensen & Jørgensen, J. Comput. Phys. 74, 265 (1988),
    doi:10.1016/0021-9991(88)90081-2; Stratmann, Scuseria & Frisch, J. Chem. Phys. 109, 8218 (1998),
    doi:10.1063/1.477483). `diagonal` approximates that of both.
    """
    block = min(diagonal.size, 2 * roots + 2)
    basis = orthonormal(unit_guesses(diagonal, min(diagonal.size, roots + 2)))
    plus_images, minus_images = padded_product(plus, basis, block), padded_product(minus, basis, block)
    products = len(basis)
    for iteration in range(max_iterations):
        p, m, values = _paired_subspace(basis, plus_images, minus_images, roots)
        p_error = p @ plus_images - values[:, None] * (m @ basis)
        m_error = m @ minus_images - values[:, None] * (p @ basis)
        residuals = np.maximum(np.linalg.norm(p_error, axis=1), np.linalg.norm(m_error, axis=1))
        found = PairedEigenpairs(values, p @ basis, residuals, products, tolerance, m @ basis)
        if found.converged or len(basis) == diagonal.size or iteration + 1 == max_iterations:
            return found
        open_roots = residuals > tolerance
        errors = p_error[open_roots], m_error[open_roots]
        new = orthonormal(np.concatenate([_corrections(e, diagonal, values[open_roots]) for e in errors]), basis)
        if not len(new):
            return found
        plus_images = np.concatenate([plus_images, padded_product(plus, new, block)])
        minus_images = np.concatenate([minus_images, padded_product(minus, new, block)])
        basis = np.concatenate([basis, new])
        products += len(new)
    raise ValueError(f"max_iterations is {max_iterations}; it must be at least 1.")


def _paired_subspace(basis, plus_images, minus_images, roots) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p, m (root, basis) and ω of the projected problem, through Lᵀ P L t = ω² t with M = L Lᵀ, p = L t, m = P p/ω.

    Raises:
        InstabilityError: P or M is not positive: the reference is no minimum.
    """
    p_matrix, m_matrix = _symmetric(basis @ plus_images.T), _symmetric(basis @ minus_images.T)
    try:
        low = np.linalg.cholesky(m_matrix)
    except np.linalg.LinAlgError:
        raise InstabilityError(_NO_MINIMUM) from None
    squares, vectors = np.linalg.eigh(low.T @ p_matrix @ low)
    if squares[0] <= 0:
        raise InstabilityError(_NO_MINIMUM)
    values = np.sqrt(squares[:roots])
    p = (low @ vectors[:, :roots]).T
    m = (p @ p_matrix) / values[:, None]
    scale = 1 / np.sqrt(np.sum(p * m, axis=1, keepdims=True))
    return p * scale, m * scale, values


_NO_MINIMUM = (
    "the reference is unstable, so that it has no real excitation energies; follow the instability with "
    "jqc.scf.stability, or use tda=True."
)


def _corrections(errors: np.ndarray, diagonal: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Davidson's preconditioned residuals, r/(diagonal − ω), bounded where the two meet."""
    gaps = diagonal[None, :] - values[:, None]
    return errors / np.where(np.abs(gaps) < 1e-2, np.copysign(1e-2, gaps), gaps)


def padded_product(product: Product, vectors: np.ndarray, block: int) -> np.ndarray:
    """Product with any number of vectors, in blocks of one length."""
    parts = []
    for first in range(0, len(vectors), block):
        part = vectors[first : first + block]
        padded = np.pad(part, ((0, block - len(part)), (0, 0)))
        parts.append(np.asarray(product(padded))[: len(part)])
    return np.concatenate(parts)


def orthonormal(vectors: np.ndarray, against: np.ndarray | None = None) -> np.ndarray:
    """Orthonormal rows that span what `vectors` add to `against`; negligible ones are dropped."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = vectors[norms[:, 0] > 0] / norms[norms[:, 0] > 0]
    for _ in range(2):
        if against is not None and len(against):
            rows = rows - (rows @ against.T) @ against
        if not len(rows):
            return rows
        _, sizes, rows = np.linalg.svd(rows, full_matrices=False)
        rows = rows[sizes > 1e-6]
    return rows


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return 0.5 * (matrix + matrix.T)
