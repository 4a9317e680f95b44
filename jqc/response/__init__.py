"""What a molecule answers to: forces, and responses to displacements, fields and light."""

from jqc.response.forces import forces

__all__ = ["forces"]
