"""Molecules, basis sets, integrals and quadrature: what an energy is computed from."""

from jqc.system.build import System, build_system, with_range
from jqc.system.molecule import Molecule, nuclear_repulsion

__all__ = ["Molecule", "System", "build_system", "nuclear_repulsion", "with_range"]
