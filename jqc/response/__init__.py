"""What a molecule answers to: forces, and responses to displacements, fields and light."""

from jqc.response.forces import forces
from jqc.response.polarizability import polarizability
from jqc.response.tddft import Excitations, excitations

__all__ = ["Excitations", "excitations", "forces", "polarizability"]
