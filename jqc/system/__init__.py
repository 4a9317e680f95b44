"""Molecules, basis sets, integrals and quadrature: what an energy is computed from."""

from jqc.system.build import System, build_system, with_range
from jqc.system.keep import keep_orbitals
from jqc.system.molecule import Molecule, nuclear_repulsion

__all__ = ["Molecule", "System", "build_system", "keep_orbitals", "nuclear_repulsion", "with_range"]
