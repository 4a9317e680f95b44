"""How atoms are apart: radial distribution functions, and histograms of all distances.

    g(r) = V/(4π r² N_pairs) ⟨Σ_pairs δ(r − r_ij)⟩,     h(r) = ⟨Σ_pairs δ(r − r_ij)⟩/N_pairs

A Gaussian in place of δ makes both differentiable functions of positions; what it puts into each bin is exact, so that
pairs are counted once in all.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import InputError
from jqc.md.space import Cell, nearest, volume, widths
from jqc.typing import Array, Float, Int


def all_pairs(n_atoms: int) -> Int[np.ndarray, "pair 2"]:
    """Every pair of atoms once."""
    return np.stack(np.triu_indices(n_atoms, 1), axis=1)


def pairs_between(left: Int[np.ndarray, "some"], right: Int[np.ndarray, "others"]) -> Int[np.ndarray, "pair 2"]:
    """Every pair of an atom of one list with another of the other list, once."""
    first, second = (each.ravel() for each in np.meshgrid(left, right, indexing="ij"))
    both = np.sort(np.stack([first, second], axis=1)[first != second], axis=1)
    return np.unique(both, axis=0)


def distances(
    positions: Float[Array, "*frame atom 3"], pairs: Int[Array, "pair 2"], cell: Cell = None
) -> Float[Array, "*frame pair"]:
    """Distances of pairs, to the nearest image; slopes are finite where two atoms coincide."""
    apart = nearest(positions[..., pairs[:, 0], :] - positions[..., pairs[:, 1], :], cell)
    squared = jnp.sum(apart**2, axis=-1)
    met = squared == 0.0
    return jnp.where(met, 0.0, jnp.sqrt(jnp.where(met, 1.0, squared)))


def counted(
    apart: Float[Array, "pair"], edges: Float[Array, "edge"], width: float | Float[Array, ""]
) -> Float[Array, "bin"]:
    """Pairs in each bin of distance, each smeared by a Gaussian of standard deviation `width`; none smeared at zero."""
    if isinstance(width, float | int) and width == 0:
        return jnp.histogram(apart, edges)[0].astype(apart.dtype)
    below = jax.scipy.stats.norm.cdf((edges[:, None] - apart) / width).sum(axis=1)
    return jnp.diff(below)


def rdf_of(
    positions: Float[Array, "atom 3"],
    cell: Cell,
    edges: Float[Array, "edge"],
    pairs: Int[Array, "pair 2"],
    width: float,
) -> Float[Array, "bin"]:
    """g(r) of one frame; a differentiable function of positions and cell where the width is not zero."""
    shells = 4 / 3 * jnp.pi * jnp.diff(edges**3)
    return counted(distances(positions, pairs, cell), edges, width) * volume(cell) / (len(pairs) * shells)


def rdf(
    positions: Float[Array, "frame atom 3"],
    cell: Cell,
    edges: Float[Array, "edge"],
    pairs: Int[Array, "pair 2"] | None = None,
    width: float = 0.0,
) -> Float[Array, "bin"]:
    """Radial distribution function, one for an ideal gas; a frame after another, in a cell for all or one for each.

    Raises:
        InputError: free space, which has no density, or distances beyond half of the cell, where pairs are missing.
    """
    if cell is None:
        raise InputError("a radial distribution function needs a cell; take h(r) of molecules in free space.")
    edges, cell = jnp.asarray(edges), jnp.asarray(cell)
    each = cell if cell.ndim > 1 and len(cell) == len(positions) and cell.shape != (3, 3) else None
    narrowest = min(float(widths(np.asarray(one)).min()) for one in (cell[None] if each is None else each))
    if float(edges[-1]) > 0.5 * narrowest * (1 + 1e-9):
        raise InputError(
            f"distances up to {float(edges[-1]):.4g} reach beyond half of the cell, {0.5 * narrowest:.4g}; take less."
        )
    pairs = jnp.asarray(all_pairs(positions.shape[1]) if pairs is None else pairs)
    of_frame = lambda frame, cell: rdf_of(frame, cell, edges, pairs, width)  # noqa: E731
    if each is None:
        return jax.lax.map(lambda frame: of_frame(frame, cell), positions).mean(axis=0)
    return jax.lax.map(lambda both: of_frame(*both), (positions, each)).mean(axis=0)


def distance_histogram(
    positions: Float[Array, "frame atom 3"],
    edges: Float[Array, "edge"],
    cell: Cell = None,
    pairs: Int[Array, "pair 2"] | None = None,
    width: float = 0.0,
) -> Float[Array, "bin"]:
    """h(r), whose integral over all distances is one."""
    edges = jnp.asarray(edges)
    pairs = jnp.asarray(all_pairs(positions.shape[1]) if pairs is None else pairs)
    counts = jax.lax.map(lambda frame: counted(distances(frame, pairs, cell), edges, width), positions)
    return counts.mean(axis=0) / (len(pairs) * jnp.diff(edges))
