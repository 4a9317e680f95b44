"""Canonical frames of a point: orbital energies, their differences, and what is preconditioned with them."""

import jax
import jax.numpy as jnp

from jqc.scf.grassmann import Point, Tangent, absent, blocks, reference_at
from jqc.scf.kernel import Reference
from jqc.scf.occupation import ABSENT
from jqc.system import System
from jqc.typing import Array, Float
from jqc.xc.base import Functional

SMALLEST_CURVATURE = 0.1
"""Floor of the preconditioner in hartree."""


def canonical(at: Point, fock: Float[Array, "spin ao ao"]) -> tuple[Point, Array, Array]:
    """Frames that diagonalise F_oo and F_vv, and both sets of orbital energies; absent orbitals come last."""
    occ_occ, _, virt_virt = blocks(at, fock)

    def turned(frame, block):
        lifted = jax.vmap(jnp.diag)(jnp.where(absent(frame), ABSENT, 0.0))
        energies, rotation = jnp.linalg.eigh(block + lifted)
        return frame @ rotation, energies

    occupied, occ_energy = turned(at.occupied, occ_occ)
    virtual, virt_energy = turned(at.virtual, virt_virt)
    return Point(occupied, virtual), occ_energy, virt_energy


def gaps(at: Point, occ_energy: Float[Array, "spin occ"], virt_energy: Float[Array, "spin virt"]) -> Tangent:
    """ε_v − ε_o, `ABSENT` where an orbital is absent."""
    missing = absent(at.occupied)[:, None, :] | absent(at.virtual)[:, :, None]
    return jnp.where(missing, ABSENT, virt_energy[:, :, None] - occ_energy[:, None, :])


def preconditioner(at: Point, differences: Tangent) -> Tangent:
    """2n(ε_v − ε_o), positive; one where an orbital is absent."""
    scaled = jnp.maximum(2 * at.electrons_per_orbital * jnp.abs(differences), SMALLEST_CURVATURE)
    return jnp.where(differences > ABSENT / 2, 1.0, scaled)


def diagonal_preconditioner(at: Point, fock: Float[Array, "spin ao ao"]) -> Tangent:
    """The preconditioner from the diagonals of F_oo and F_vv, in frames that need not be canonical."""
    occ_occ, _, virt_virt = blocks(at, fock)
    diagonal = lambda matrix: jnp.diagonal(matrix, axis1=-2, axis2=-1)  # noqa: E731
    return preconditioner(at, gaps(at, diagonal(occ_occ), diagonal(virt_virt)))


@jax.jit
def canonical_reference(functional: Functional, system: System, at: Point) -> tuple[Point, Reference, Tangent]:
    """A point in canonical frames, its reference, and its `gaps`."""
    held = reference_at(functional, system, at)
    at, *energies = canonical(at, held.fock)
    return at, held, gaps(at, *energies)


def lift_absent(differences: Tangent, x: Tangent) -> Tangent:
    """Part of an operator that gives absent orbitals a large eigenvalue instead of zero."""
    return jnp.where(differences > ABSENT / 2, ABSENT, 0.0) * x
