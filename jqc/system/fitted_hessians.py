"""Second derivatives of fitted two-electron integrals by nuclear positions, and the slopes of J and K.

    ½ γᵀV⁻¹γ:  c·γ″ − ½ cᵀV″c + ρᵀV⁻¹ρ,  ρ = γ′ − V′c,     −(k/2) zᵀV⁻¹z:  the same with Z and ζ = z′ − V′Z,

γ = (P|D), c = V⁻¹γ, z = (P|ij), Z = V⁻¹z. Integrals are made for fitting functions of one atom at a time and contracted
at once; what is held is ζ, (move, aux, occ, occ).
"""

import numpy as np

from jqc.system.factors import Factor, HostRows
from jqc.system.integral_gradients import AUX_BLOCK, Exchange, Fitted
from jqc.system.integral_hessians import Centres, Slopes, carried, sum_by_atom
from jqc.system.integrals import metric_root


def fitted_slopes(
    mole, auxiliary, omega: float, factor: Factor, coulomb: np.ndarray | None, exchange: list[Exchange]
) -> Slopes:
    """Of the fitted ½ (D|D) (where `coulomb` is D) and exact exchange; arguments as in `fitted_gradient`."""
    from pyscf import df

    auxmol = df.addons.make_auxmol(mole, auxiliary)
    with mole.with_range_coulomb(omega), auxmol.with_range_coulomb(omega):
        fitted = Fitted.of(metric_root(auxmol), HostRows(factor, auxmol.nao, mole.nao), coulomb, exchange)
        sums = _Sums(mole, auxmol, fitted)
        for atom, first, last in _blocks_of_atoms(auxmol):
            sums.add(atom, first, last)
        sums.add_metric()
        return sums.finish()


def _blocks_of_atoms(auxmol) -> list[tuple[int, int, int]]:
    """Atom, first and last shell of runs that stay on one atom and hold about `AUX_BLOCK` functions at most."""
    runs = []
    for atom, (first, stop, *_) in enumerate(auxmol.aoslice_by_atom()):
        for shell in range(first, stop):
            if auxmol.ao_loc[shell + 1] - auxmol.ao_loc[first] >= AUX_BLOCK or shell + 1 == stop:
                runs.append((atom, first, shell + 1))
                first = shell + 1
    return runs


class _Sums:
    """Sums over fitting functions; three-centre arrays are (component, aux, ν, μ) as libcint lays them out, ∇ on μ."""

    def __init__(self, mole, auxmol, fitted: Fitted) -> None:
        n_atoms, n_ao, n_aux = mole.natm, mole.nao, auxmol.nao
        self.mole, self.auxmol, self.fitted = mole, auxmol, fitted
        self.atoms = [slice(*ends) for ends in mole.aoslice_by_atom()[:, 2:]]
        self.centres = Centres(n_atoms)
        self.with_coulomb = fitted.coulomb is not None
        self.rho = np.zeros((n_atoms, 3, n_aux))
        self.on_orbital = np.zeros((3, n_ao, n_ao))
        self.coulomb = np.zeros((n_atoms, 3, n_ao, n_ao))
        occupied = [term.occupied.shape[1] for term in fitted.exchange]
        self.zeta = [np.zeros((n_atoms, 3, n_aux, occ, occ)) for occ in occupied]
        self.exchange = [np.zeros((n_atoms, 3, n_ao, occ)) for occ in occupied]

    def _integrals(self, kind: str, components: int, first: int, last: int) -> np.ndarray:
        from pyscf import df

        slices = (0, self.mole.nbas, 0, self.mole.nbas, first, last)
        values = df.incore.aux_e2(self.mole, self.auxmol, kind, aosym="s1", comp=components, shls_slice=slices)
        return values.transpose(0, 3, 2, 1)

    def add(self, atom: int, first: int, last: int) -> None:
        """Fitting shells first to last, all on one atom."""
        rows = slice(self.auxmol.ao_loc[first], self.auxmol.ao_loc[last])
        slopes = self._integrals("int3c2e_ip1", 3, first, last)
        if self.fitted.coulomb is not None:
            self._add_coulomb(self.fitted.coulomb, atom, rows, slopes)
        for number in range(len(self.fitted.exchange)):
            self._add_exchange(number, atom, rows, slopes)
        weight = self.fitted.density(rows)
        twice = np.einsum("xpnm,pnm->xm", self._integrals("int3c2e_ipip1", 9, first, last), weight, optimize=True)
        both = np.einsum("xpnm,pnm->xmn", self._integrals("int3c2e_ipvip1", 9, first, last), weight)
        both = sum_by_atom(self.mole, sum_by_atom(self.mole, both, 2), 1)
        twice = sum_by_atom(self.mole, twice, 1)
        self.centres.add(twice.reshape(3, 3, -1), both.reshape(3, 3, *both.shape[1:]), atom)

    def _add_coulomb(self, dm: np.ndarray, atom: int, rows: slice, slopes: np.ndarray) -> None:
        on_orbital = np.einsum("xpnm,nm->xpm", slopes, dm)
        self.rho[:, :, rows] -= 2 * sum_by_atom(self.mole, on_orbital, 2).transpose(2, 0, 1)
        self.rho[atom, :, rows] += 2 * on_orbital.sum(-1)
        shifted = np.tensordot(self.fitted.coefficients[rows], slopes, (0, 1)).transpose(0, 2, 1)
        self.on_orbital += shifted
        self.coulomb[atom] += shifted + shifted.transpose(0, 2, 1)

    def _add_exchange(self, number: int, atom: int, rows: slice, slopes: np.ndarray) -> None:
        occupied, half = self.fitted.exchange[number].occupied, self.fitted.halves[number][rows]
        zeta, exchange = self.zeta[number], self.exchange[number]
        half_way = occupied.T @ slopes  # (x, P, j, μ)
        image = np.tensordot(half_way, half, ((1, 2), (0, 1)))  # (x, μ, i)
        spread = occupied @ half  # (P, ν, i)
        for a, orbitals in enumerate(self.atoms):
            z = half_way[..., orbitals] @ occupied[orbitals]
            z = z + z.swapaxes(-1, -2)
            zeta[a, :, rows] -= z
            zeta[atom, :, rows] += z
            other = np.tensordot(slopes[..., orbitals], spread[:, orbitals], ((1, 3), (0, 1)))
            exchange[a] -= other
            exchange[a, :, orbitals] -= image[:, orbitals]
            exchange[atom] += other
        exchange[atom] += image

    def add_metric(self) -> None:
        """Derivatives of (P|Q): (∇P|Q) = −(P|∇Q)."""
        slopes = self.auxmol.intor("int2c2e_ip1", comp=3)
        curved = self.auxmol.intor("int2c2e_ipip1", comp=9) * self.fitted.metric
        curved = sum_by_atom(self.auxmol, sum_by_atom(self.auxmol, curved, 2), 1)
        curved = curved.reshape(3, 3, *curved.shape[1:])
        # −½ Y V″: each of P and Q on its own atom, and both.
        for a in range(self.mole.natm):
            self.centres.total[a, :, a, :] -= curved[:, :, a].sum(-1)
        self.centres.total += curved.transpose(2, 0, 3, 1)
        fitting = [slice(*ends) for ends in self.auxmol.aoslice_by_atom()[:, 2:]]
        pairs = [(self.rho, self.fitted.coefficients)] if self.with_coulomb else []
        for residual, fit in [*pairs, *zip(self.zeta, self.fitted.halves, strict=True)]:
            for a, own in enumerate(fitting):
                # −V′ fit, V′ = −1_A(P)(∇P|Q) − 1_A(Q)(P|∇Q)
                residual[a] -= np.tensordot(slopes[:, :, own], fit[own], (2, 0))
                residual[a, :, own] += np.tensordot(slopes[:, own], fit, (2, 0))

    def finish(self) -> Slopes:
        """Add what follows from ρ and ζ."""
        from pyscf.lib import unpack_tril

        fitted, n_moves = self.fitted, 3 * self.mole.natm
        hessian = self.centres.matrix
        coulomb = np.zeros((n_moves, self.mole.nao, self.mole.nao))
        if self.with_coulomb:
            rho = fitted.root.whitened(self.rho.reshape(n_moves, -1).T).T
            hessian = hessian + rho @ rho.T
            coulomb = self.coulomb.reshape(coulomb.shape) + carried(self.mole, self.on_orbital)
            coulomb += unpack_tril(rho @ fitted.factor)
        images = []
        for term, zeta, exchange in zip(fitted.exchange, self.zeta, self.exchange, strict=True):
            occ = term.occupied.shape[1]
            whitened = np.stack([fitted.root.whitened(z.reshape(len(fitted.factor), -1)) for z in _moves(zeta)])
            hessian = hessian - term.share * np.tensordot(whitened, whitened, ((1, 2), (1, 2)))
            image = exchange.reshape(n_moves, self.mole.nao, occ)
            whitened = whitened.reshape(n_moves, -1, occ, occ)
            for first in range(0, len(fitted.factor), AUX_BLOCK):
                block = slice(first, first + AUX_BLOCK)
                half_way = unpack_tril(fitted.factor[block]) @ term.occupied  # (Q, μ, j)
                image = image + np.tensordot(whitened[:, block], half_way, ((1, 2), (0, 2))).swapaxes(1, 2)
            images.append(image)
        return Slopes(hessian, coulomb, images)


def _moves(array: np.ndarray) -> np.ndarray:
    """(atom, 3, …) as (move, …)."""
    return array.reshape(-1, *array.shape[2:])
