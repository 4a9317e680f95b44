"""Second derivatives of integrals by nuclear positions, contracted with densities, and the slopes of Fock matrices.

An operator of the electron's coordinate on each centre does it all, d_μ = −∇_μ, and one centre of each integral follows
from the others, d_P = −d_μ − d_ν for (μν|P) and for the attraction by nucleus P. A direction is an atom and an axis,
(atom, 3) ravelled; arrays over directions lead with `move`.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Slopes:
    """Derivatives at a fixed density matrix, along every direction.

    `hessian` (move, move) is that of the energy, `coulomb` (move, ao, ao) that of the Coulomb matrix, `exchange` one
    (move, ao, occ) for each exchange term, that of K[D] A with A its factor.
    """

    hessian: np.ndarray
    coulomb: np.ndarray
    exchange: list[np.ndarray]


def sum_by_atom(mole, array: np.ndarray, axis: int) -> np.ndarray:
    """Sums over the orbitals of each atom along one axis."""
    return np.add.reduceat(array, mole.aoslice_by_atom()[:, 2], axis=axis)


def carried(mole, slopes: np.ndarray) -> np.ndarray:
    """Derivative of ⟨μ|O|ν⟩ by the positions of its orbitals, (move, ao, ao), from ⟨∇μ|O|ν⟩ (3, ao, ao)."""
    moved = np.zeros((mole.natm, *slopes.shape))
    for atom, (first, last) in enumerate(mole.aoslice_by_atom()[:, 2:]):
        moved[atom, :, first:last] -= slopes[:, first:last]
    moved += np.swapaxes(moved, -1, -2)
    return moved.reshape(-1, *slopes.shape[1:])


def overlap_slopes(mole) -> np.ndarray:
    """∂S/∂R, (move, ao, ao)."""
    return carried(mole, mole.intor("int1e_ipovlp", comp=3))


def core_slopes(mole) -> np.ndarray:
    """∂h/∂R, core potentials included, (move, ao, ao)."""
    total = carried(mole, mole.intor("int1e_ipkin", comp=3))
    for atom in range(mole.natm):
        slopes = _attraction(mole, atom, "ipr", 3)
        total += carried(mole, slopes)
        total[3 * atom : 3 * atom + 3] += slopes + np.swapaxes(slopes, -1, -2)
    return total


def dipole_slopes(mole, dm: np.ndarray) -> np.ndarray:
    """tr(D ∂r_i/∂R), (3, move), of a density (ao, ao), or of one for each axis i (3, ao, ao)."""
    # ⟨μ|r_i ∂_x ν⟩, with the orbital that carries the derivative second.
    slopes = mole.intor("int1e_irp", comp=9).reshape(3, 3, mole.nao, -1)
    on_orbital = np.einsum("ixmn,imn->ixn", slopes, np.broadcast_to(dm, (3, mole.nao, mole.nao)))
    return -2 * np.swapaxes(sum_by_atom(mole, on_orbital, 2), 1, 2).reshape(3, -1)


def _attraction(mole, atom: int, kind: str, components: int) -> np.ndarray:
    """Derivatives of the attraction by one nucleus: "ipr" ⟨∇μ|V|ν⟩, "ipipr" ⟨∇∇μ|V|ν⟩, "iprp" ⟨∇μ|V|∇ν⟩."""
    names = {
        "ipr": ("int1e_iprinv", "ECPscalar_iprinv"),
        "ipipr": ("int1e_ipiprinv", "ECPscalar_ipiprinv"),
        "iprp": ("int1e_iprinvip", "ECPscalar_iprinvip"),
    }[kind]
    with mole.with_rinv_at_nucleus(atom):
        values = -mole.atom_charge(atom) * mole.intor(names[0], comp=components)
        if mole.has_ecp() and atom in set(mole._ecpbas[:, 0]):
            values = values + mole.intor(names[1], comp=components)
    return values


class Centres:
    """Sums second derivatives of three-centre quantities X = Σ Γ_μν (μν|P) by the atoms that carry μ, ν and P."""

    def __init__(self, n_atoms: int) -> None:
        self.total = np.zeros((n_atoms, 3, n_atoms, 3))

    def add(self, twice: np.ndarray, both: np.ndarray, third: int | None) -> None:
        """Γ symmetric; `twice` (3, 3, atom) from (∇∇μ ν|P), `both` (3, 3, atom, atom) from (∇μ ∇ν|P), P on `third`."""
        for atom in range(twice.shape[2]):
            self.total[atom, :, atom, :] += 2 * twice[:, :, atom]
        self.total += 2 * both.transpose(2, 0, 3, 1)
        if third is None:
            return
        opposite = 2 * (twice + both.sum(2))  # axes: of P, of the orbital
        self.total[third] -= opposite.transpose(0, 2, 1)
        self.total[:, :, third, :] -= opposite.transpose(2, 1, 0)
        self.total[third, :, third, :] += opposite.sum(2)

    @property
    def matrix(self) -> np.ndarray:
        """(move, move)."""
        size = 3 * len(self.total)
        return self.total.reshape(size, size)


def one_electron_hessian(mole, dm: np.ndarray, weighted: np.ndarray) -> np.ndarray:
    """∂²/∂R∂R′ of tr(D h) − tr(W S) at fixed D and W, (move, move)."""
    centres = Centres(mole.natm)

    def add(twice, both, weight, third):
        shape = (3, 3, mole.nao, mole.nao)
        twice = np.einsum("xymn,mn->xym", twice.reshape(shape), weight)
        both = both.reshape(shape) * weight
        both = sum_by_atom(mole, sum_by_atom(mole, both, 3), 2)
        centres.add(sum_by_atom(mole, twice, 2), both, third)

    add(mole.intor("int1e_ipipkin", comp=9), mole.intor("int1e_ipkinip", comp=9), dm, None)
    add(mole.intor("int1e_ipipovlp", comp=9), mole.intor("int1e_ipovlpip", comp=9), -weighted, None)
    for atom in range(mole.natm):
        add(_attraction(mole, atom, "ipipr", 9), _attraction(mole, atom, "iprp", 9), dm, atom)
    return centres.matrix


def nuclear_hessian(charges: np.ndarray, coords: np.ndarray) -> np.ndarray:
    """∂²/∂R∂R′ of Σ_{A<B} Z_A Z_B/|R_A − R_B|, (move, move)."""
    apart = coords[:, None] - coords[None]
    distance = np.linalg.norm(apart, axis=-1) + np.where(np.eye(len(coords)) > 0, np.inf, 0.0)
    unit = apart / distance[:, :, None]
    tensor = 3 * unit[:, :, :, None] * unit[:, :, None, :] - np.eye(3)
    pairs = np.outer(charges, charges)[:, :, None, None] * tensor / distance[:, :, None, None] ** 3
    total = -pairs
    total[np.arange(len(coords)), np.arange(len(coords))] = pairs.sum(1)
    return total.transpose(0, 2, 1, 3).reshape(3 * len(coords), -1)
