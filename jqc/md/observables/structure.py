"""Shapes of molecules over time: deviations after superposition, fluctuations, sizes, and bonds that hold."""

import jax.numpy as jnp
import numpy as np

from jqc.md.observables.pairs import distances
from jqc.md.space import Cell
from jqc.typing import Array, Float, Int


def superposed(
    positions: Float[Array, "*frame atom 3"],
    reference: Float[Array, "atom 3"],
    weights: Float[Array, "atom"] | None = None,
) -> Float[Array, "*frame atom 3"]:
    """Positions turned and moved onto a reference (Kabsch, Acta Cryst. A 32, 922, doi:10.1107/S0567739476001873)."""
    w = jnp.ones(reference.shape[0]) if weights is None else jnp.asarray(weights)
    w = w / w.sum()
    centre = jnp.einsum("a,...ax->...x", w, positions)
    aim = w @ reference
    moved = positions - centre[..., None, :]
    left, _, right = jnp.linalg.svd(jnp.einsum("a,...ax,ay->...xy", w, moved, reference - aim))
    handed = jnp.linalg.det(left) * jnp.linalg.det(right)
    left = left.at[..., -1].multiply(handed[..., None])
    return moved @ (left @ right) + aim


def rmsd(
    positions: Float[Array, "*frame atom 3"],
    reference: Float[Array, "atom 3"],
    weights: Float[Array, "atom"] | None = None,
) -> Float[Array, "*frame"]:
    """Root mean square deviation from a reference after superposition."""
    w = jnp.ones(reference.shape[0]) if weights is None else jnp.asarray(weights)
    off = jnp.sum((superposed(positions, reference, weights) - reference) ** 2, axis=-1)
    return jnp.sqrt(off @ (w / w.sum()))


def rmsf(positions: Float[Array, "frame atom 3"], weights: Float[Array, "atom"] | None = None) -> Float[Array, "atom"]:
    """Root mean square fluctuation of each atom about its mean, after superposition."""
    onto = superposed(positions, positions[0], weights).mean(axis=0)
    aligned = superposed(positions, onto, weights)
    return jnp.sqrt(jnp.mean(jnp.sum((aligned - aligned.mean(axis=0)) ** 2, axis=-1), axis=0))


def radius_of_gyration(
    positions: Float[Array, "*frame atom 3"], masses: Float[Array, "atom"]
) -> Float[Array, "*frame"]:
    """Root of the mean squared distance from the centre of mass, weighted by mass."""
    w = jnp.asarray(masses) / jnp.sum(masses)
    apart = positions - jnp.einsum("a,...ax->...x", w, positions)[..., None, :]
    return jnp.sqrt(jnp.einsum("a,...ax,...ax->...", w, apart, apart))


def stable_frames(
    positions: Float[np.ndarray, "frame atom 3"],
    bonds: Int[np.ndarray, "bond 2"],
    lengths: Float[np.ndarray, "bond"],
    stretch: float,
    cell: Cell = None,
) -> int:
    """Frames before the first with a bond further than `stretch` from its length (Fu et al., arXiv:2210.07237)."""
    off = np.abs(np.asarray(distances(jnp.asarray(positions), jnp.asarray(bonds), cell)) - lengths).max(axis=-1)
    broken = np.flatnonzero(~(off <= stretch))
    return int(broken[0]) if broken.size else len(positions)
