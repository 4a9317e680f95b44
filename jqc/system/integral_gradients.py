"""Derivatives of integrals by nuclear positions, contracted with densities as they are made and never stored.

A nucleus carries its orbitals, ∂φ_μ/∂R_A = −∇φ_μ for μ on A, so that every gradient below is a sum over derivatives by
the electron's coordinate on one orbital. Fitting functions need none of their own: (μν|∇P) = −(∇μ ν|P) − (μ ∇ν|P).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jqc.system.factors import Factor, HostRows
from jqc.system.integrals import MetricRoot, metric_root

AUX_BLOCK = 64
"""Fitting functions whose derivative integrals are held at a time, about."""


@dataclass(frozen=True)
class Exchange:
    """Exact exchange of one spin: a factor A of D = A Aᵀ, (ao, occ), and k in E = −(k/2) tr(D K[D])."""

    occupied: np.ndarray
    share: float


def one_electron_gradient(mole, dm: np.ndarray, weighted: np.ndarray) -> np.ndarray:
    """∂/∂R of tr(D h) − tr(W S), core potentials included, (atom, 3) in hartree/bohr.

    W = Σ_i f_i ε_i C_i C_iᵀ keeps the orbitals orthonormal as atoms move.
    """
    core = mole.intor("int1e_ipkin", comp=3) + mole.intor("int1e_ipnuc", comp=3)
    if mole.has_ecp():
        core = core + mole.intor("ECPscalar_ipnuc", comp=3)
    carried = np.einsum("xmn,mn->mx", core, dm) - np.einsum("xmn,mn->mx", mole.intor("int1e_ipovlp", comp=3), weighted)
    gradient = -2 * by_atom(mole, carried)
    with_core_potential = set(mole._ecpbas[:, 0]) if mole.has_ecp() else set()
    for atom in range(mole.natm):
        with mole.with_rinv_at_nucleus(atom):
            moved = -mole.atom_charge(atom) * mole.intor("int1e_iprinv", comp=3)
            if atom in with_core_potential:
                moved = moved + mole.intor("ECPscalar_iprinv", comp=3)
        gradient[atom] += 2 * np.einsum("xmn,mn->x", moved, dm)
    return gradient


def fitted_gradient(
    mole, auxiliary, omega: float, factor: Factor, coulomb: np.ndarray | None, exchange: list[Exchange]
) -> np.ndarray:
    """∂/∂R of the fitted ½ (D|D) (where `coulomb` is D) and of exact exchange, orbitals fixed, (atom, 3).

    dE = Σ Γ_Pμν d(P|μν) − ½ Σ Y_PQ d(P|Q) with Γ_P = c_P D − Σ k A Z_P Aᵀ, Y = c cᵀ − Σ k Z Z, c = V⁻¹(P|D),
    Z = V⁻¹(P|ij).
    `factor` is the whitened tensor of `jqc.system.integrals.fitted_tensor`, with padding.
    """
    from pyscf import df

    auxmol = df.addons.make_auxmol(mole, auxiliary)
    with mole.with_range_coulomb(omega), auxmol.with_range_coulomb(omega):
        fitted = Fitted.of(metric_root(auxmol), HostRows(factor, auxmol.nao, mole.nao), coulomb, exchange)
        return contracted_fitted(mole, auxmol, fitted.density, fitted.metric)


def contracted_fitted(mole, auxmol, density: Callable[[slice], np.ndarray], metric: np.ndarray) -> np.ndarray:
    """Σ Γ_Pμν ∂(P|μν)/∂R − ½ Σ Y_PQ ∂(P|Q)/∂R, (atom, 3).

    `density` hands out Γ, symmetric in the orbitals, for a slice of fitting functions; `metric` is Y.
    """
    slopes = auxmol.intor("int2c2e_ip1", comp=3)
    gradient = by_atom(auxmol, np.einsum("xpq,pq->px", slopes, metric))
    for first, last in _shell_blocks(auxmol):
        rows = slice(auxmol.ao_loc[first], auxmol.ao_loc[last])
        on_orbital, on_fitting = _contracted(mole, auxmol, first, last, density(rows))
        gradient -= 2 * by_atom(mole, on_orbital)
        gradient += 2 * by_atom(auxmol, on_fitting, rows)
    return gradient


@dataclass(frozen=True)
class Fitted:
    """Fitted densities: D and c = V⁻¹(P|D), and Z = V⁻¹(P|ij), (aux, occ, occ), of every exchange term."""

    root: MetricRoot
    factor: HostRows
    coulomb: np.ndarray | None
    exchange: list[Exchange]
    coefficients: np.ndarray
    halves: list[np.ndarray]

    @classmethod
    def of(cls, root: MetricRoot, factor: HostRows, coulomb, exchange: list[Exchange]) -> "Fitted":
        """Fit the densities through the whitened tensor `factor` (aux, pair)."""
        from pyscf.lib import unpack_tril

        coefficients = np.zeros(len(factor))
        if coulomb is not None:
            rows, columns = np.tril_indices(len(coulomb))
            packed = np.where(rows == columns, 1.0, 2.0) * coulomb[rows, columns]
            coefficients = root.coefficients(factor @ packed)
        halves = []
        for term in exchange:
            occ = term.occupied.shape[1]
            half = np.empty((len(factor), occ, occ))
            for first in range(0, len(factor), AUX_BLOCK):
                unpacked = unpack_tril(factor[first : first + AUX_BLOCK])
                half[first : first + AUX_BLOCK] = term.occupied.T @ (unpacked @ term.occupied)
            halves.append(root.coefficients(half.reshape(len(factor), -1)).reshape(half.shape))
        return cls(root, factor, coulomb, exchange, coefficients, halves)

    def density(self, rows: slice) -> np.ndarray:
        """Γ_P = c_P D − Σ k A Z_P Aᵀ, (block, ao, ao)."""
        n = len(self.coulomb) if self.coulomb is not None else len(self.exchange[0].occupied)
        weight = np.zeros((rows.stop - rows.start, n, n))
        if self.coulomb is not None:
            weight += self.coefficients[rows, None, None] * self.coulomb
        for term, half in zip(self.exchange, self.halves, strict=True):
            weight -= term.share * (term.occupied @ half[rows]) @ term.occupied.T
        return weight

    @property
    def metric(self) -> np.ndarray:
        """Y = c cᵀ − Σ k Z Z, (aux, aux)."""
        weight = np.outer(self.coefficients, self.coefficients)
        for term, half in zip(self.exchange, self.halves, strict=True):
            flat = half.reshape(len(half), -1)
            weight -= term.share * flat @ flat.T
        return weight


def _shell_blocks(auxmol) -> list[tuple[int, int]]:
    """Runs of fitting shells that hold about `AUX_BLOCK` functions."""
    runs, first = [], 0
    for shell in range(auxmol.nbas):
        if auxmol.ao_loc[shell + 1] - auxmol.ao_loc[first] >= AUX_BLOCK or shell + 1 == auxmol.nbas:
            runs.append((first, shell + 1))
            first = shell + 1
    return runs


def _contracted(mole, auxmol, first: int, last: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ_νP Γ_Pμν (∇μ ν|P) by orbital and Σ_μν by fitting function, (ao, 3) and (block, 3)."""
    from pyscf import df

    slices = (0, mole.nbas, 0, mole.nbas, first, last)
    slopes = df.incore.aux_e2(mole, auxmol, "int3c2e_ip1", aosym="s1", comp=3, shls_slice=slices)
    pairs = [np.einsum("mnp,pmn->mp", slope, weight) for slope in slopes]
    return np.stack([p.sum(1) for p in pairs], axis=-1), np.stack([p.sum(0) for p in pairs], axis=-1)


def exact_gradient(
    mole, omega: float, coulomb: np.ndarray | None, exchange: list[tuple[np.ndarray, float]]
) -> np.ndarray:
    """The same from four-centre integrals; `exchange` holds density matrices, which need no factor, and shares."""
    from pyscf.grad import rhf

    gradient = np.zeros((mole.natm, 3))
    with mole.with_range_coulomb(omega):
        if coulomb is not None:
            gradient += 2 * by_atom(mole, np.einsum("xmn,mn->mx", rhf.get_jk(mole, coulomb)[0], coulomb))
        for dm, share in exchange:
            gradient -= 2 * share * by_atom(mole, np.einsum("xmn,mn->mx", rhf.get_jk(mole, dm)[1], dm))
    return gradient


def by_atom(mole, rows: np.ndarray, part: slice = slice(None)) -> np.ndarray:
    """Sum of rows (ao, 3) over the orbitals of each atom; `part` says which orbitals the rows are."""
    slices = mole.aoslice_by_atom()
    owner = np.repeat(np.arange(mole.natm), slices[:, 3] - slices[:, 2])[part]
    total = np.zeros((mole.natm, rows.shape[1]))
    np.add.at(total, owner, rows)
    return total
