"""The Kohn–Sham energy and its self-consistent solution.

The package is callable: `jqc.scf(system, "pbe")` is `jqc.scf.scf(system, "pbe")`. Python binds a sub-package's name
in its parent whenever it is first imported, so a function of that name could not live there beside it.
"""

import sys
from types import ModuleType

from jqc.scf.batch import scf_batch
from jqc.scf.energy import EnergyParts, energy
from jqc.scf.result import SCFResult
from jqc.scf.solve import scf
from jqc.scf.step import SCFSettings

__all__ = ["EnergyParts", "SCFResult", "SCFSettings", "energy", "scf", "scf_batch"]


class _CallablePackage(ModuleType):
    """A package that can be called like its main function."""

    __call__ = staticmethod(scf)


sys.modules[__name__].__class__ = _CallablePackage
