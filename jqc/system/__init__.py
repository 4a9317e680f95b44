"""Molecules, basis sets, integrals and quadrature: what an energy is computed from."""

from jqc.system.build import System, build_system, with_range
from jqc.system.classes import SizeClass, SizeClasses, size_classes
from jqc.system.keep import keep_orbitals
from jqc.system.many import build_systems
from jqc.system.molecule import Molecule, nuclear_repulsion
from jqc.system.parameters import basis_parameters
from jqc.system.traced import traced_system

__all__ = [
    "Molecule",
    "SizeClass",
    "SizeClasses",
    "System",
    "basis_parameters",
    "build_system",
    "build_systems",
    "keep_orbitals",
    "nuclear_repulsion",
    "size_classes",
    "traced_system",
    "with_range",
]
