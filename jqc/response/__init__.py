"""What a molecule answers to: forces, and responses to displacements, fields and light."""

from jqc.response.displacements import Displacements, displacements
from jqc.response.forces import forces
from jqc.response.nonlinear import hyperpolarizability, polarizability_slopes
from jqc.response.polarizability import polarizability
from jqc.response.tddft import Excitations, excitations
from jqc.response.thermochemistry import Thermochemistry, thermochemistry
from jqc.response.vibrations import Vibrations, vibrations

__all__ = [
    "Displacements",
    "Excitations",
    "Thermochemistry",
    "Vibrations",
    "displacements",
    "excitations",
    "forces",
    "hyperpolarizability",
    "polarizability",
    "polarizability_slopes",
    "thermochemistry",
    "vibrations",
]
