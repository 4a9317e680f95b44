"""jqc: differentiable quantum chemistry in JAX.

Nothing heavy is imported until it is used: names below are loaded on first access.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jqc.response import forces
    from jqc.scf import SCFResult, SCFSettings, energy, scf, scf_batch
    from jqc.system import Molecule, System, build_system, build_systems, size_classes
    from jqc.xc import functional

__version__ = "0.1.0"

_HOME = {
    "Molecule": "jqc.system",
    "System": "jqc.system",
    "build_system": "jqc.system",
    "build_systems": "jqc.system",
    "functional": "jqc.xc",
    "SCFResult": "jqc.scf",
    "SCFSettings": "jqc.scf",
    "energy": "jqc.scf",
    "forces": "jqc.response",
    "scf": "jqc.scf",
    "scf_batch": "jqc.scf",
    "size_classes": "jqc.system",
}

__all__ = [
    "Molecule",
    "SCFResult",
    "SCFSettings",
    "System",
    "__version__",
    "build_system",
    "build_systems",
    "energy",
    "forces",
    "functional",
    "scf",
    "scf_batch",
    "size_classes",
]


def __getattr__(name: str):
    """Load a public name from its home on first access (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'jqc' has no attribute {name!r}")
    module = importlib.import_module(_HOME[name])
    # A package named like its function is callable itself (see jqc.scf) and stays what Python made it.
    value = module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
