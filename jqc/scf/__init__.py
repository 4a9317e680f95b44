"""The Kohn–Sham energy and its self-consistent solution."""

from jqc.scf.energy import EnergyParts, energy
from jqc.scf.result import SCFResult
from jqc.scf.solve import scf
from jqc.scf.step import SCFSettings

__all__ = ["EnergyParts", "SCFResult", "SCFSettings", "energy", "scf"]
