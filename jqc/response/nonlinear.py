"""Third derivatives of the energy: hyperpolarizability, and the polarizability's derivatives that make Raman spectra.

First-order orbitals give third derivatives (Wigner's 2n + 1 rule; Gonze & Vigneron, Phys. Rev. B 39, 13120 (1989),
doi:10.1103/PhysRevB.39.13120). With E[x; θ] = E[D(x; θ); θ] over orbital rotations x and parameters θ,

    d³E/dθ_a dF_b dF_c = ⟨∂A_bc/∂x, x_a⟩ + ∂A_bc/∂θ_a,     A_bc = d²E/dt_b dt_c at x + t_b x_b + t_c x_c, F + t_b + t_c

One reverse pass over A_bc serves every θ: fields, and all nuclei through the derivatives of integrals.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jqc.response.displacements import Displacements
from jqc.response.operators import OrbitalResponse
from jqc.scf.energy import energy_parts
from jqc.scf.grassmann import Point, Tangent
from jqc.scf.implicit import chart
from jqc.scf.result import SCFResult
from jqc.system import System
from jqc.system.basis import auxiliary_basis, make_mole
from jqc.system.integral_gradients import contracted_fitted, exact_gradient
from jqc.system.integral_hessians import core_slopes, dipole_slopes, overlap_slopes
from jqc.system.integrals import metric_root
from jqc.typing import Array, Float
from jqc.xc.base import Functional

PAIRS = list(combinations_with_replacement(range(3), 2))
"""The six pairs of field axes."""


def hyperpolarizability(result: SCFResult) -> np.ndarray:
    """Static first hyperpolarizability β_ijk = −∂³E/∂F_i∂F_j∂F_k in a.u., (3, 3, 3).

    Raises
    ------
    ConvergenceError
        The SCF or its response is not converged.
    InputError
        Fractional occupations.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> import jqc
    >>> helium = jqc.build_system(jqc.Molecule.from_arrays(["He"], [[0.0, 0.0, 0.0]]))
    >>> bool(abs(hyperpolarizability(jqc.scf(helium, "lda"))).max() < 1e-4)  # no direction
    True
    """
    response = OrbitalResponse.around(result)
    fields = response.answer(response.mixed(response.system.dipole))
    beta = np.zeros((3, 3, 3))
    for (b, c), rotation, slopes in _curvatures(result, response, fields):
        of_dm = np.asarray(slopes["attraction"])
        along = np.einsum("sai,xsai->x", rotation, fields) + np.einsum("mn,xmn->x", of_dm, result.system.dipole)
        beta[:, b, c] = beta[:, c, b] = -along
    return beta


def polarizability_slopes(result: SCFResult, moved: Displacements) -> np.ndarray:
    """∂α_ij/∂R, (3, 3, move) in bohr², of a result and its displacements.

    Raises
    ------
    ConvergenceError
        The SCF or its response is not converged.
    """
    response = OrbitalResponse.around(result)
    fields = response.answer(response.mixed(response.system.dipole))
    contract = _NuclearContraction(result)
    slopes = np.zeros((3, 3, len(moved.hessian)))
    tangents = _in_frames(response, moved)
    for (b, c), rotation, cotangents in _curvatures(result, response, fields):
        along = np.einsum("sai,xsai->x", rotation, tangents) + contract(cotangents)
        if result.system.coulomb == "exact":
            changes = _density_changes(result.system, response.at, fields[b], fields[c])
            along = along + contract.exact_repulsion(*map(np.asarray, changes))
        slopes[b, c] = slopes[c, b] = -along
    return slopes


def _in_frames(response: OrbitalResponse, moved: Displacements) -> np.ndarray:
    """Tangents of the displacements in the frames of another run, which may turn degenerate orbitals."""
    overlap = np.asarray(response.system.overlap)
    transposed = lambda frame: np.asarray(frame).swapaxes(-1, -2)  # noqa: E731
    virtual = transposed(response.at.virtual) @ overlap @ np.asarray(moved.at.virtual)
    occupied = transposed(moved.at.occupied) @ overlap @ np.asarray(response.at.occupied)
    return virtual @ moved.tangents @ occupied


def _curvatures(result: SCFResult, response: OrbitalResponse, fields: np.ndarray) -> Iterator:
    """(b, c), ∂A_bc/∂x and ∂A_bc/∂(system) for every pair of fields."""
    units = jnp.eye(3)
    for b, c in PAIRS:
        pair = (jnp.asarray(fields[b]), jnp.asarray(fields[c]), units[b], units[c])
        rotation, slopes = _curvature_slopes(result.functional, result.system, response.at, *pair)
        yield (b, c), np.asarray(rotation), slopes


@jax.jit
def _curvature_slopes(
    functional: Functional,
    system: System,
    at: Point,
    x_b: Tangent,
    x_c: Tangent,
    field_b: Float[Array, "3"],
    field_c: Float[Array, "3"],
) -> tuple[Tangent, dict[str, Any]]:
    """∂A_bc/∂x, and ∂A_bc by overlap, attraction (and kinetic energy alike), dipole, repulsion and coords."""
    varied = ("overlap", "attraction", "dipole", "repulsion", "coords")

    def curvature(x, leaves):
        def energy(t_b, t_c):
            field = t_b * field_b + t_c * field_c
            attraction = leaves["attraction"] + jnp.einsum("x,xmn->mn", field, leaves["dipole"])
            here = replace(system, **{**leaves, "attraction": attraction})
            return energy_parts(functional, here, chart(here, at, x + t_b * x_b + t_c * x_c)).total

        return _mixed(energy)

    leaves = {name: getattr(system, name) for name in varied}
    return jax.grad(curvature, argnums=(0, 1))(jnp.zeros_like(x_b), leaves)


def _mixed(function):
    """∂²f/∂t_b∂t_c at zero."""
    one = (1.0,)
    return jax.jvp(lambda b: jax.jvp(partial(function, b), (0.0,), one)[1], (0.0,), one)[1]


@jax.jit
def _density_changes(system: System, at: Point, x_b: Tangent, x_c: Tangent):
    """D, D_b, D_c and D_bc."""
    dm = lambda b, c: chart(system, at, b * x_b + c * x_c)  # noqa: E731
    slope = lambda k: jax.jvp(lambda t: dm(t, 0.0) if k == 0 else dm(0.0, t), (0.0,), (1.0,))[1]  # noqa: E731
    return dm(0.0, 0.0), slope(0), slope(1), _mixed(dm)


class _NuclearContraction:
    """Cotangents of a system times the derivatives of its integrals along every move."""

    def __init__(self, result: SCFResult) -> None:
        self.result = result
        self.n_ao = int(result.system.n_ao)
        self.mole = make_mole(result.system.molecule, result.system.basis)
        self.overlap, self.core = overlap_slopes(self.mole), core_slopes(self.mole)

    def __call__(self, cotangents: dict[str, Any]) -> np.ndarray:
        n, n_atoms = self.n_ao, self.mole.natm
        matrix = {name: _symmetric(np.asarray(cotangents[name])[..., :n, :n]) for name in _MATRICES}
        total = np.einsum("mn,amn->a", matrix["overlap"], self.overlap)
        total += np.einsum("mn,amn->a", matrix["attraction"], self.core)
        total += dipole_slopes(self.mole, matrix["dipole"]).sum(0)
        total += np.asarray(cotangents["coords"])[:n_atoms].ravel()
        if self.result.system.coulomb == "df":
            for omega, slope in cotangents["repulsion"].items():
                total += self._fitted(omega, np.asarray(slope)).ravel()
        return total

    def _fitted(self, omega: float, slope: np.ndarray) -> np.ndarray:
        """B = W(P|μν): Γ = Wᵀ B̄, and Y = Wᵀ B̄ Bᵀ W since nothing depends on a rotation of B's rows."""
        from pyscf import df
        from pyscf.lib import unpack_tril

        system, mole = self.result.system, self.mole
        auxmol = df.addons.make_auxmol(mole, auxiliary_basis(mole, system.aux_basis)[0])
        rows, pairs = auxmol.nao, mole.nao * (mole.nao + 1) // 2
        with mole.with_range_coulomb(omega), auxmol.with_range_coulomb(omega):
            root = metric_root(auxmol)
            factor, slope = np.asarray(system.repulsion[omega])[:rows, :pairs], slope[:rows, :pairs]
            density = root.coefficients(slope)
            metric = root.coefficients(root.coefficients(slope @ factor.T).T)
            halved = np.where(np.equal(*np.tril_indices(mole.nao)), 1.0, 0.5)
            return contracted_fitted(
                mole, auxmol, lambda block: unpack_tril(density[block] * halved), _symmetric(metric)
            )

    def exact_repulsion(self, dm, dm_b, dm_c, dm_bc) -> np.ndarray:
        """∂_b∂_c of the four-centre gradient, a quadratic form Q of the density: 2Q(D, D_bc) + 2Q(D_b, D_c)."""
        return (self._twice_bilinear(dm, dm_bc) + self._twice_bilinear(dm_b, dm_c)).ravel()

    def _twice_bilinear(self, one, other) -> np.ndarray:
        return 0.5 * (self._quadratic(one + other) - self._quadratic(one - other))

    def _quadratic(self, dm: np.ndarray) -> np.ndarray:
        dm = dm[:, : self.n_ao, : self.n_ao]
        exchange = self.result.functional.exchange
        total = np.zeros((self.mole.natm, 3))
        for omega in {0.0, *(omega for omega, _ in exchange)}:
            terms = [(d, c * len(dm) / 2) for w, c in exchange if w == omega for d in dm]
            total += exact_gradient(self.mole, omega, dm.sum(0) if omega == 0 else None, terms)
        return total


_MATRICES = ("overlap", "attraction", "dipole")


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return 0.5 * (matrix + matrix.swapaxes(-1, -2))
