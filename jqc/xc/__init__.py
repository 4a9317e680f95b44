"""Exchange-correlation functionals: the protocol, the closed forms and their names."""

from jqc.xc.base import Density, Functional, Quadrature
from jqc.xc.registry import functional

__all__ = ["Density", "Functional", "Quadrature", "functional"]
