"""Second derivatives of exact two-electron integrals by nuclear positions, and the slopes of J and K.

Derivatives are taken on the first electron's orbital μ of (μν|λσ), and on ν or λ; the eightfold symmetry of what they
are contracted with, ½ D_μν D_λσ and −(k/2) D_μλ D_νσ, supplies the rest.
"""

import numpy as np

from jqc.system.integral_gradients import Exchange
from jqc.system.integral_hessians import Centres, Slopes, carried, sum_by_atom


def exact_slopes(mole, omega: float, coulomb: np.ndarray | None, exchange: list[Exchange]) -> Slopes:
    """Of ½ (D|D) (where `coulomb` is D) and exact exchange, from four-centre integrals."""
    with mole.with_range_coulomb(omega):
        total = np.zeros((3 * mole.natm,) * 2)
        matrices = np.zeros((3 * mole.natm, mole.nao, mole.nao))
        if coulomb is not None:
            total += _coulomb_hessian(mole, coulomb)
            matrices = _coulomb_matrix(mole, coulomb)
        images = []
        for term in exchange:
            dm = term.occupied @ term.occupied.T
            total -= term.share * _exchange_hessian(mole, dm)
            images.append(_exchange_matrix(mole, dm) @ term.occupied)
    return Slopes(total, matrices, images)


def _contract(mole, kind: str, components: int, scripts: dict[str, np.ndarray], atom: int | None = None):
    """Contractions of derivative integrals (ij|kl), i on one atom where it is given; a list like `scripts`."""
    from pyscf.scf import jk

    slices = None
    if atom is not None:
        first, last = mole.aoslice_by_atom()[atom, :2]
        slices = (first, last, *(0, mole.nbas) * 3)
    names = [f"ijkl,{script}" for script in scripts]
    found = jk.get_jk(mole, list(scripts.values()), names, kind, aosym="s1", comp=components, shls_slice=slices)
    return [np.asarray(values) for values in found]


def _own(mole, atom: int) -> slice:
    return slice(*mole.aoslice_by_atom()[atom, 2:])


def _finished(mole, twice, both, across) -> np.ndarray:
    """(move, move) of 2 (∇∇μ ν|…) + 2 (∇μ ∇ν|…) + 4 (∇μ ν|∇λ …), by atoms; `across` (atom, 3, atom, 3)."""
    centres = Centres(mole.natm)
    both = sum_by_atom(mole, sum_by_atom(mole, both, 2), 1)
    centres.add(sum_by_atom(mole, twice, 1).reshape(3, 3, -1), both.reshape(3, 3, *both.shape[1:]), None)
    return centres.matrix + 4 * across.reshape(3 * mole.natm, -1)


def _by_second_atom(mole, rows: np.ndarray) -> np.ndarray:
    """(9, ao) as (3, atom, 3)."""
    return sum_by_atom(mole, rows, 1).reshape(3, 3, -1).transpose(0, 2, 1)


def _coulomb_hessian(mole, dm: np.ndarray) -> np.ndarray:
    (twice,) = _contract(mole, "int2e_ipip1", 9, {"lk->ij": dm})
    (both,) = _contract(mole, "int2e_ipvip1", 9, {"lk->ij": dm})
    across = np.zeros((mole.natm, 3, mole.natm, 3))
    for atom in range(mole.natm):
        (rest,) = _contract(mole, "int2e_ip1ip2", 9, {"ji->kl": dm[:, _own(mole, atom)]}, atom)
        across[atom] = _by_second_atom(mole, np.einsum("xkl,kl->xk", rest, dm))
    return _finished(mole, np.einsum("xmn,mn->xm", twice, dm), both * dm, across)


def _exchange_hessian(mole, dm: np.ndarray) -> np.ndarray:
    (twice,) = _contract(mole, "int2e_ipip1", 9, {"jk->il": dm})
    both = np.zeros((9, mole.nao, mole.nao))
    across = np.zeros((mole.natm, 3, mole.natm, 3))
    for atom in range(mole.natm):
        own = _own(mole, atom)
        (rest,) = _contract(mole, "int2e_ipvip1", 9, {"li->kj": dm[:, own]}, atom)
        # D_il D_jk of (∇i ∇j|k l): summed over i on this atom, k; what is left is j.
        both[:, own.start] = np.einsum("xkj,kj->xj", rest, dm)
        parallel, crossed = _contract(mole, "int2e_ip1ip2", 9, {"lj->ki": dm, "li->kj": dm[:, own]}, atom)
        rows = np.einsum("xki,ki->xk", parallel, dm[:, own]) + np.einsum("xkj,kj->xk", crossed, dm)
        across[atom] = 0.5 * _by_second_atom(mole, rows)
    return _finished(mole, np.einsum("xmn,mn->xm", twice, dm), both, across)


def _coulomb_matrix(mole, dm: np.ndarray) -> np.ndarray:
    (on_orbital,) = _contract(mole, "int2e_ip1", 3, {"lk->ij": dm})
    moved = carried(mole, on_orbital)
    for atom in range(mole.natm):
        (rest,) = _contract(mole, "int2e_ip1", 3, {"ji->kl": dm[:, _own(mole, atom)]}, atom)
        moved[3 * atom : 3 * atom + 3] -= 2 * rest
    return moved


def _exchange_matrix(mole, dm: np.ndarray) -> np.ndarray:
    (on_orbital,) = _contract(mole, "int2e_ip1", 3, {"jk->il": dm})
    moved = carried(mole, on_orbital)
    for atom in range(mole.natm):
        (rest,) = _contract(mole, "int2e_ip1", 3, {"li->kj": dm[:, _own(mole, atom)]}, atom)
        moved[3 * atom : 3 * atom + 3] -= rest + rest.swapaxes(1, 2)
    return moved
