"""Lowest eigenpairs of a large symmetric operator that is known by its products.

Block Davidson iteration (Davidson, J. Comput. Phys. 17, 87 (1975), doi:10.1016/0021-9991(75)90065-0): a small subspace
on the host, products wherever the operator computes them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jqc.errors import InstabilityError

Product = Callable[[np.ndarray], np.ndarray]
"""Operator on a block of vectors, (block, n) to (block, n); blocks always have the same length."""

BLOCK = 6
"""Vectors in a block of products at most: enough for what they share, few enough for their memory."""

DEGENERATE = 1e-3
"""Diagonal elements closer than this belong to one set."""


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
    """Unit vectors at the lowest diagonal elements, with a little of everything so that no symmetry hides a root.

    At least `count` if there are, and all of a degenerate set.
    """
    order = np.argsort(diagonal, kind="stable")
    count = int((diagonal <= diagonal[order[min(count, diagonal.size) - 1]] + DEGENERATE).sum())
    rows = np.zeros((count, diagonal.size))
    rows[np.arange(count), order[:count]] = 1.0
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
    basis = orthonormal(unit_guesses(diagonal, roots + 2) if guesses is None else guesses)
    count = len(basis)
    block, largest = min(count, BLOCK), min(diagonal.size, max(12 * count, 60))
    images = padded_product(product, basis, block)
    products = len(basis)
    for iteration in range(max_iterations):
        values, coefficients = np.linalg.eigh(_symmetric(basis @ images.T))
        kept = coefficients[:, :roots].T
        vectors, values = kept @ basis, values[:roots]
        errors = kept @ images - values[:, None] * vectors
        found = Eigenpairs(values, vectors, np.linalg.norm(errors, axis=1), products, tolerance)
        if found.converged or len(basis) == diagonal.size or iteration + 1 == max_iterations:
            return found
        if len(basis) + count > largest:
            keep = coefficients[:, : min(2 * count, len(basis))].T
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
    """Lowest ω > 0 of the linear-response problem with P = A + B and M = A − B, both symmetric and positive.

    p and m have a subspace each, so that an iteration takes one product of either kind for each open root; the lowest
    ω are minima of ½(p·Pp + m·Mm)/|p·m| (Thouless, Nucl. Phys. 22, 78 (1961), doi:10.1016/0029-5582(61)90364-9; Bai &
    Li, SIAM J. Matrix Anal. Appl. 33, 1075 (2012), doi:10.1137/110838960). `diagonal` approximates that of both.
    """
    p_basis = m_basis = orthonormal(unit_guesses(diagonal, roots + 2))
    block = min(len(p_basis), BLOCK)
    p_images, m_images = padded_product(plus, p_basis, block), padded_product(minus, m_basis, block)
    products = len(p_basis)
    for iteration in range(max_iterations):
        in_p, in_m, values = _paired_subspace(p_basis, p_images, m_basis, m_images, roots)
        p, m = in_p @ p_basis, in_m @ m_basis
        p_errors, m_errors = in_p @ p_images - values[:, None] * m, in_m @ m_images - values[:, None] * p
        residuals = np.maximum(np.linalg.norm(p_errors, axis=1), np.linalg.norm(m_errors, axis=1))
        found = PairedEigenpairs(values, p, residuals, products, tolerance, m)
        still_open = residuals > tolerance
        if not still_open.any() or iteration + 1 == max_iterations:
            return found
        corrections = paired_corrections(p_errors[still_open], m_errors[still_open], diagonal, values[still_open])
        p_new, m_new = orthonormal(corrections[0], p_basis), orthonormal(corrections[1], m_basis)
        if not len(p_new) + len(m_new):
            return found
        p_images = np.concatenate([p_images, padded_product(plus, p_new, block)])
        m_images = np.concatenate([m_images, padded_product(minus, m_new, block)])
        p_basis, m_basis = np.concatenate([p_basis, p_new]), np.concatenate([m_basis, m_new])
        products += len(p_new)
    raise ValueError(f"max_iterations is {max_iterations}; it must be at least 1.")


def _paired_subspace(p_basis, p_images, m_basis, m_images, roots) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of p and m in their subspaces, and ω: 1/ω are singular values of L_P⁻¹ S L_M⁻ᵀ.

    S is the subspaces' overlap, P = L_P L_Pᵀ and M = L_M L_Mᵀ in them.

    Raises:
        InstabilityError: P or M is not positive: the reference is no minimum.
    """
    try:
        p_low = np.linalg.cholesky(_symmetric(p_basis @ p_images.T))
        m_low = np.linalg.cholesky(_symmetric(m_basis @ m_images.T))
    except np.linalg.LinAlgError:
        raise InstabilityError(_NO_MINIMUM) from None
    shared = np.linalg.solve(m_low, np.linalg.solve(p_low, p_basis @ m_basis.T).T).T
    left, inverses, right = np.linalg.svd(shared)
    scale = np.sqrt(1 / inverses[:roots])
    in_p, in_m = np.linalg.solve(p_low.T, left[:, :roots] * scale), np.linalg.solve(m_low.T, right[:roots].T * scale)
    return in_p.T, in_m.T, 1 / inverses[:roots]


_NO_MINIMUM = (
    "the reference is unstable, so that it has no real excitation energies; follow the instability with "
    "jqc.scf.stability, or use tda=True."
)


def paired_corrections(
    p_errors: np.ndarray, m_errors: np.ndarray, diagonal: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[[d, −ω], [−ω, d]]⁻¹ on residuals: what P and M would ask for if they were their diagonal d."""
    omega = values[:, None]
    determinant = diagonal**2 - omega**2
    determinant = np.where(np.abs(determinant) < 1e-3, np.copysign(1e-3, determinant), determinant)
    p = (diagonal * p_errors + omega * m_errors) / determinant
    return p, (omega * p_errors + diagonal * m_errors) / determinant


def _corrections(errors: np.ndarray, diagonal: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Davidson's preconditioned residuals, r/(diagonal − ω), bounded where the two meet."""
    gaps = diagonal[None, :] - values[:, None]
    return errors / np.where(np.abs(gaps) < 1e-2, np.copysign(1e-2, gaps), gaps)


def padded_product(product: Product, vectors: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """Product with any number of vectors, in blocks of one length."""
    parts = [np.zeros((0, vectors.shape[1]))]
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
