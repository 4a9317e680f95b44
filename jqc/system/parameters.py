"""Basis sets as differentiable numbers: exponents and contraction coefficients by element, and their normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gamma

import jax
import jax.numpy as jnp
import numpy as np

from jqc.errors import BasisError
from jqc.system.basis import make_mole
from jqc.system.build import System
from jqc.typing import Array, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BasisShell:
    """A contracted shell as basis-set files have it: coefficients of normalised primitives."""

    exponents: Float[Array, "prim"]
    coefficients: Float[Array, "prim contraction"]
    momentum: int = field(metadata={"static": True})


BasisParameters = Mapping[str, tuple[BasisShell, ...]]
"""Shells of each element, by its symbol."""


def basis_parameters(system: System) -> dict[str, tuple[BasisShell, ...]]:
    """Exponents and contraction coefficients of a system's orbital basis, by element.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]])
    >>> [shell.exponents.shape for shell in basis_parameters(jqc.build_system(helium, "6-31g", grid_level=0))["He"]]
    [(3,), (1,)]
    """
    mole = make_mole(system.molecule, system.basis)
    return {symbol: tuple(map(_read_shell, shells)) for symbol, shells in mole._basis.items()}


def _read_shell(entry) -> BasisShell:
    """A shell of PySCF's format, [l, [exponent, coefficients …], …]."""
    rows = np.array(sorted(entry[1:], reverse=True))
    return BasisShell(jnp.asarray(rows[:, 0]), jnp.asarray(rows[:, 1:]), entry[0])


def normalised(shell: BasisShell) -> Float[Array, "prim contraction"]:
    """Coefficients of exp(−a r²) r^l Y_lm that make every contracted function of a shell a unit vector.

    ∫ r^(2l+2) exp(−α r²) dr = Γ(l + 3/2) / 2α^(l + 3/2), as in PySCF: primitives first, contractions then.
    """

    def radial(alpha):
        return gamma(shell.momentum + 1.5) / (2 * alpha ** (shell.momentum + 1.5))

    a = shell.exponents
    weights = shell.coefficients / jnp.sqrt(radial(2 * a))[:, None]
    return weights / jnp.sqrt(jnp.einsum("pc,pq,qc->c", weights, radial(a[:, None] + a), weights))


def require_same_shells(basis: BasisParameters, own: BasisParameters) -> None:
    """Refuse parameters whose shells are not those of another set.

    Raises:
        BasisError: an element lacks, or its shells differ in number, momentum or shape.
    """
    for symbol, shells in own.items():
        expected = [(shell.momentum, shell.coefficients.shape) for shell in shells]
        found = [(shell.momentum, jnp.shape(shell.coefficients)) for shell in basis.get(symbol, ())]
        if found != expected or any(jnp.shape(s.exponents) != s.coefficients.shape[:1] for s in basis[symbol]):
            raise BasisError(
                f"shells of {symbol} are {found} as (momentum, shape); change the numbers of basis_parameters(system) "
                f"only, whose shells are {expected}."
            )
