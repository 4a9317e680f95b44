"""Integrals over Gaussians, by libcint through PySCF on the host: the only importer of integral calls.

Two-electron integrals always leave here as a symmetric factorisation (μν|λσ) = Σ_L B_Lμν B_Lλσ, packed over
pairs μ ≥ ν: the whitened density-fitting tensor, or a pivoted Cholesky factor of the exact integrals. One code
then builds J and K for both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jqc.errors import MemoryLimitError
from jqc.system.screening import PairBlock

CHOLESKY_THRESHOLD = 1e-11
"""Largest error of any exact integral after factorisation, hartree (it bounds the diagonal of the residual)."""

METRIC_THRESHOLD = 1e-7
"""Eigenvalues of a singular fitting metric that count, as in PySCF."""

EXACT_LIMIT = 4 << 30
"""Bytes that the exact four-centre integrals may take."""


def one_electron(mole) -> dict[str, np.ndarray]:
    """Overlap, kinetic energy, nuclear attraction (with core potentials) and dipole integrals, atomic units."""
    attraction = mole.intor_symmetric("int1e_nuc")
    if mole.has_ecp():
        attraction = attraction + mole.intor_symmetric("ECPscalar")
    return {
        "overlap": mole.intor_symmetric("int1e_ovlp"),
        "kinetic": mole.intor_symmetric("int1e_kin"),
        "attraction": attraction,
        "dipole": mole.intor_symmetric("int1e_r", comp=3),
    }


def fitted_tensor(mole, auxiliary, omega: float) -> np.ndarray:
    """Whitened density-fitting tensor B = W(P|μν), WᵀW = V⁻¹, shape (aux, pair), for 1/r or an attenuated operator.

    ω > 0 is erf(ωr)/r, ω < 0 erfc(|ω|r)/r, ω = 0 the Coulomb operator.
    """
    from pyscf import df

    auxmol = df.addons.make_auxmol(mole, auxiliary)
    with mole.with_range_coulomb(omega), auxmol.with_range_coulomb(omega):
        root = metric_root(auxmol)
        if root.triangular:
            return df.incore.cholesky_eri(mole, auxmol=auxmol)
        return root.matrix @ df.incore.aux_e2(mole, auxmol, aosym="s2ij").T


def fitted_columns(mole, auxiliary, omega: float, blocks: list[PairBlock]) -> Iterator[np.ndarray]:
    """The same tensor for the pairs of some blocks, one after another, each (aux, kept)."""
    from pyscf import df
    from pyscf.gto.mole import conc_env
    from pyscf.gto.moleintor import getints3c, make_cintopt

    auxmol = df.addons.make_auxmol(mole, auxiliary)
    name = mole._add_suffix("int3c2e")
    with mole.with_range_coulomb(omega), auxmol.with_range_coulomb(omega):
        root = metric_root(auxmol)
        tables = conc_env(mole._atm, mole._bas, mole._env, auxmol._atm, auxmol._bas, auxmol._env)
        optimiser = make_cintopt(*tables, name)
        fitting = (mole.nbas, mole.nbas + auxmol.nbas)
        for block in blocks:
            integrals = getints3c(name, *tables, (*block.bra, *block.ket, *fitting), cintopt=optimiser)
            yield root.whitened(integrals[block.counts].T)


@dataclass(frozen=True)
class MetricRoot:
    """Root of the fitting metric V: its lower Cholesky factor, W = L⁻¹, or W = V^(−1/2) where V is singular.

    Smooth attenuated operators make it singular. The symmetric root is the only one that does not depend on how
    degenerate eigenvectors come out.
    """

    matrix: np.ndarray
    triangular: bool

    def whitened(self, fitting: np.ndarray) -> np.ndarray:
        """W x: whitened integrals W(P|…) from (P|…)."""
        from scipy.linalg import solve_triangular

        if self.triangular:
            return solve_triangular(self.matrix, fitting, lower=True)
        return self.matrix @ fitting

    def coefficients(self, whitened: np.ndarray) -> np.ndarray:
        """Wᵀ x: fitting coefficients V⁻¹(P|…) from whitened integrals W(P|…)."""
        from scipy.linalg import solve_triangular

        if self.triangular:
            return solve_triangular(self.matrix, whitened, lower=True, trans=1)
        return self.matrix @ whitened


def metric_root(auxmol) -> MetricRoot:
    """Root of a fitting set's metric, for the operator that is set."""
    from scipy.linalg import LinAlgError, cholesky

    metric = auxmol.intor("int2c2e", hermi=1)
    try:
        return MetricRoot(cholesky(metric, lower=True), True)
    except LinAlgError:
        values, vectors = kept_directions(metric)
        scaled = vectors / np.sqrt(np.sqrt(values))
        return MetricRoot(scaled @ scaled.T, False)


def kept_directions(metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of a singular metric that count, (kept,) and (aux, kept)."""
    from scipy.linalg import eigh

    values, vectors = eigh(metric)
    kept = values > METRIC_THRESHOLD
    return values[kept], vectors[:, kept]


def exact_factor(mole, omega: float) -> np.ndarray:
    """Pivoted Cholesky factor of the exact integrals, shape (rank, pair), to `CHOLESKY_THRESHOLD`.

    Raises:
        MemoryLimitError: the integrals would exceed `EXACT_LIMIT`.
    """
    from scipy.linalg import get_lapack_funcs

    pairs = mole.nao * (mole.nao + 1) // 2
    if pairs**2 * 8 > EXACT_LIMIT:
        raise MemoryLimitError(
            f"exact integrals of {mole.nao} orbitals need {pairs**2 * 8 / 2**30:.1f} GiB, more than "
            f"{EXACT_LIMIT / 2**30:.0f} GiB; use coulomb='df'."
        )
    with mole.with_range_coulomb(omega):
        eri = mole.intor("int2e", aosym="s4")
    (dpstrf,) = get_lapack_funcs(("pstrf",), dtype=np.float64)
    factor, pivots, rank, _ = dpstrf(eri.T, tol=CHOLESKY_THRESHOLD, lower=0, overwrite_a=1)
    rows = np.empty((rank, pairs))
    rows[:, pivots - 1] = np.triu(factor[:rank])
    return rows


def repulsion_factor(mole, auxiliary, omega: float) -> np.ndarray:
    """Factor of the two-electron integrals: fitted where an auxiliary set is given, else exact."""
    return exact_factor(mole, omega) if auxiliary is None else fitted_tensor(mole, auxiliary, omega)
