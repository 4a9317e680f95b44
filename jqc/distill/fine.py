"""Energies on a finer quadrature than that of the SCF: the density hardly depends on it, energies do.

Learned functionals and others that read τ are wrong by milli-hartrees on points that serve for B3LYP. At a density P of
an SCF on coarse points, E_fine[P] is right to second order in what these points do to P.
"""

from dataclasses import replace

import jax
import numpy as np

from jqc.system import Molecule, System
from jqc.system.lengths import Lengths
from jqc.system.padding import pad_axis, size_class
from jqc.system.sampled import Sampled, sample
from jqc.typing import Array, Float
from jqc.xc.base import Functional
from jqc.xc.quadrature import Orbitals, features, read_by, xc_energy

LEVEL = 3
"""Of PySCF's grids, the default of `jqc.build_system`."""


def fine_quadrature(molecule: Molecule, basis: str, level: int, room: Lengths | None = None) -> Sampled:
    """Orbitals and points of `LEVEL`, or of a finer `level`."""
    return rounded(sample(molecule, basis, max(level, LEVEL), room))


def rounded(sampled: Sampled) -> Sampled:
    """The same with numbers of blocks rounded up, to share programs."""
    padded = lambda leaf: pad_axis(np.asarray(leaf), size_class(len(leaf)))  # noqa: E731
    return replace(sampled, groups=jax.tree.map(padded, sampled.groups))


@jax.jit
def energy_on(functional: Functional, points: Orbitals, dm: Float[Array, "spin ao ao"]) -> Float[Array, ""]:
    """Exchange-correlation energy of a density on a quadrature, without exact exchange, in hartree."""
    return xc_energy(functional, points, features(points, dm, read_by(functional)))


@jax.jit
def refinement(
    functional: Functional, system: System, fine: Sampled, dm: Float[Array, "spin ao ao"]
) -> Float[Array, ""]:
    """What a fine quadrature in place of the system's own adds to the energy of a density, in hartree."""
    return energy_on(functional, fine, dm) - energy_on(functional, system, dm)
