"""Array-axis names used in every signature.

atom  nuclei                      ao     (padded) atomic orbitals
mo    molecular orbitals          occ    occupied orbitals
aux   fitting functions           pair   packed symmetric orbital pairs (ao·(ao+1)/2)
grid  quadrature points           block  blocks of grid points
spin  1 restricted, 2 otherwise   xyz    Cartesian components
shell shells of one kind          prim   primitive Gaussians of a shell
example  what a training set is made of
"""

from jax import Array
from jaxtyping import Bool, Float, Int

__all__ = ["Array", "Bool", "Float", "Int"]
