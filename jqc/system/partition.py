"""Becke's partition of points between atoms, differentiable in both.

    P_a(r) = p_a/Σ_b p_b,   p_a = Π_{b≠a} ½(1 − f(f(f(ν_ab)))),   f(ν) = ½ν(3 − ν²),   ν = μ + A_ab(1 − μ²)

with μ_ab = (|r − R_a| − |r − R_b|)/R_ab (Becke, J. Chem. Phys. 88, 2547 (1988), eqs. 13 and 19 to 22,
doi:10.1063/1.454033) and A of the square roots of Bragg's radii (Treutler & Ahlrichs, J. Chem. Phys. 102, 346 (1995),
doi:10.1063/1.469408), as in PySCF.
"""

import jax.numpy as jnp
import numpy as np

from jqc.typing import Array, Float, Int


def size_adjustment(numbers: Int[np.ndarray, "atom"]) -> Float[np.ndarray, "atom atom"]:
    """A_ab of atoms by their nuclear charges."""
    from pyscf.dft.radi import BRAGG_RADII

    root = np.sqrt(BRAGG_RADII[np.asarray(numbers)])
    return np.clip(0.25 * (root[None] / root[:, None] - root[:, None] / root[None]), -0.5, 0.5)


def share(
    points: Float[Array, "grid 3"],
    owner: Int[Array, "grid"],
    coords: Float[Array, "atom 3"],
    adjustment: Float[Array, "atom atom"],
) -> Float[Array, "grid"]:
    """P of each point's own atom."""
    n = len(coords)
    same = jnp.eye(n, dtype=bool)
    apart = coords[:, None] - coords
    between = jnp.sqrt(jnp.sum(apart**2, axis=-1) + same)
    squared = jnp.sum((points[:, None] - coords) ** 2, axis=-1)
    at_nucleus = squared == 0.0
    far = jnp.where(at_nucleus, 0.0, jnp.sqrt(jnp.where(at_nucleus, 1.0, squared)))
    mu = (far[:, :, None] - far[:, None, :]) / between
    nu = mu + adjustment * (1 - mu**2)
    for _ in range(3):
        nu = 0.5 * nu * (3 - nu**2)
    cells = jnp.prod(jnp.where(same, 1.0, 0.5 * (1 - nu)), axis=-1)
    return jnp.take_along_axis(cells, owner[:, None], axis=1)[:, 0] / jnp.sum(cells, axis=1)
