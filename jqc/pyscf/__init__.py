"""PySCF both ways: its mean-field objects in, our functionals, densities and results out.

`system` and `density` take a PySCF object in; `with_functional` hands a functional over, `dm0` a density and
`mean_field` a whole result.
"""

from jqc.pyscf.handover import dm0, mean_field
from jqc.pyscf.integrator import with_functional
from jqc.pyscf.read import density, system

__all__ = ["density", "dm0", "mean_field", "system", "with_functional"]
