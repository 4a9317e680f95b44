"""Exact exchange from a quadrature over one electron and analytic integrals over the other, by PySCF on the host.

    K_μν = Σ_g w_g φ_μ(r_g) Σ_λσ (νσ|r_g) D_λσ φ_λ(r_g),     (νσ|r) = ∫ φ_ν φ_σ /|r − r′| dr′

with grids and symmetric overlap fitting of `pyscf.sgx` (Neese et al., Chem. Phys. 356, 98 (2009),
doi:10.1016/j.chemphys.2008.10.036; Izsák & Neese, J. Chem. Phys. 135, 144105 (2011), doi:10.1063/1.3646921). No tensor
is kept. The map is linear and self-adjoint, so that the energy it belongs to is a differentiable function.
"""

from dataclasses import dataclass, field

import jax
import numpy as np

from jqc.system.hosted import found, host_object
from jqc.system.padding import pad_axis
from jqc.typing import Array, Float, Int

INTEGRAL_TOLERANCE = 1e-13
"""Contributions to K that are left out, in hartree; PySCF's value."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Seminumerical:
    """K of one range ω on the host, which `workspace` stands for."""

    workspace: Int[Array, ""]
    omega: float = field(metadata={"static": True})


class Workspace:
    """PySCF's quadrature of exchange for one molecule, made when it is first used."""

    def __init__(self, mole) -> None:
        self._mole = mole
        self._made = None

    def exchange(self, dm: Float[np.ndarray, "ao ao"], omega: float) -> Float[np.ndarray, "ao ao"]:
        """K of a symmetric density matrix that may be padded."""
        if self._made is None:
            from pyscf.sgx.sgx import SGX

            self._made = SGX(self._mole).build()
        n = self._mole.nao
        matrix = self._made.get_jk(
            np.array(dm[:n, :n]), hermi=1, with_j=False, direct_scf_tol=INTEGRAL_TOLERANCE, omega=omega or None
        )[1]
        return pad_axis(pad_axis(np.asarray(matrix), len(dm), 0), len(dm), 1)

    def close(self) -> None:
        """Let go of the quadrature."""
        self._made = None


def grid_exchange(mole) -> Int[Array, ""]:
    """What stands for a molecule's seminumerical exchange in a system."""
    return host_object(Workspace(mole))


@jax.custom_jvp
def exchange_on_grid(dm: Float[Array, "ao ao"], operator: Seminumerical) -> Float[Array, "ao ao"]:
    """K[D] of one spin, linear in D."""
    symmetric = 0.5 * (dm + dm.T)
    apply = lambda workspace, dm: found(workspace).exchange(np.asarray(dm), operator.omega)  # noqa: E731
    shape = jax.ShapeDtypeStruct(dm.shape, dm.dtype)
    return jax.pure_callback(apply, shape, operator.workspace, symmetric, vmap_method="sequential")


@exchange_on_grid.defjvp
def _exchange_on_grid_jvp(primals, tangents):
    dm, operator = primals
    return exchange_on_grid(dm, operator), exchange_on_grid(tangents[0], operator)
