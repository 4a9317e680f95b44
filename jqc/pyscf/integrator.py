"""A functional of jqc as PySCF's numerical integrator: energy, potential, kernel and one order more.

PySCF asks for derivatives of the energy per volume by the features u = (ρ, ∇ρ, τ) of each spin, point by point; here
they are automatic derivatives of one function, as in jqc itself. PySCF knows the functional as xc = "jqc".
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pyscf.dft import libxc
from pyscf.dft.numint import NumInt
from pyscf.scf import ghf, hf

from jqc.errors import FunctionalError, InputError
from jqc.numerics import require_double_precision
from jqc.pyscf.read import is_spin_resolved
from jqc.typing import Array, Float
from jqc.xc.base import Functional, Quadrature
from jqc.xc.features import present
from jqc.xc.quadrature import ROWS, read_by, spin_resolved
from jqc.xc.registry import as_functional

NAME = "jqc"
"""What `mf.xc` says."""

PIECE = 1 << 13
"""Points evaluated at a time: one shape, so that each order compiles once."""

HIGHEST_ORDER = 3
"""Derivatives that PySCF ever asks for."""

TYPES = {"none": "HF", "rho": "LDA", "sigma": "GGA", "tau": "MGGA"}
"""PySCF's words for what a functional reads."""


def with_functional(mf: hf.KohnShamDFT, functional: str | Functional) -> Any:
    """A copy of a PySCF Kohn–Sham object that integrates a functional of jqc, learned ones included.

    SCF solvers, gradients, Hessians, stability analysis and TDDFT of PySCF run on it. `mf.xc` becomes "jqc"; setting it
    to another name makes the object PySCF's own again. Everything else (basis, grid, density fitting, orbitals to start
    from) stays; a fitting set has to suit exact exchange where the functional has some.

    Parameters
    ----------
    mf
        RKS, ROKS or UKS, with or without density fitting.
    functional
        A name as in `jqc.functional`, or any local `jqc.xc.Functional`.

    Raises
    ------
    InputError
        No restricted or unrestricted Kohn–Sham object, or single precision.
    FunctionalError
        No functional, one that needs the whole grid at once or the points' positions, or ranges of exact exchange that
        PySCF has no word for.

    >>> import jax; jax.config.update("jax_enable_x64", True)
    >>> from pyscf import dft, gto
    >>> mf = with_functional(dft.RKS(gto.M(atom="He", basis="def2-svp", verbose=0)), "pbe")
    >>> print(f"{mf.kernel():.4f}")
    -2.8845
    """
    require_double_precision()
    if not isinstance(mf, hf.KohnShamDFT) or isinstance(mf, ghf.GHF) or hasattr(mf, "cell"):
        raise InputError(f"received {type(mf).__name__}; give an RKS, ROKS or UKS object of a molecule.")
    integrator = Integrator(as_functional(functional))
    integrator.probe(2 if is_spin_resolved(mf) else 1)  # pyright: ignore[reportArgumentType]
    changed: Any = mf.copy()  # pyright: ignore[reportAttributeAccessIssue]
    changed._numint, changed.xc = integrator, NAME
    # What a run of the copy would change is its own.
    changed.grids, changed.scf_summary, changed.converged = changed.grids.copy(), {}, False
    return changed


def exchange_words(functional: Functional) -> tuple[float, float, float]:
    """ω, and the coefficients of long- and short-range exact exchange, as PySCF has them.

    Raises
    ------
    FunctionalError
        More than one ω.
    """
    shares = [(float(omega), float(share)) for omega, share in functional.exchange if share]
    full = sum(share for omega, share in shares if omega == 0)
    long = sum(share for omega, share in shares if omega > 0)
    short = sum(share for omega, share in shares if omega < 0)
    omegas = {abs(omega) for omega, _ in shares if omega}
    if len(omegas) > 1:
        raise FunctionalError(
            f"the functional separates exact exchange at ω = {', '.join(map(str, sorted(omegas)))}; PySCF has one ω."
        )
    return omegas.pop() if omegas else 0.0, full + long, full + short


class Library:
    """What PySCF asks its functional library about "jqc"; about other names it asks libxc."""

    def __init__(self, functional: Functional):
        omega, long, short = exchange_words(functional)
        kind = TYPES[functional.ingredients]
        self.__name__, self.__version__ = NAME, getattr(functional, "name", type(functional).__name__)
        self.__reference__ = "derivatives are automatic"
        self._answers = {
            "xc_type": kind,
            "is_lda": kind == "LDA",
            "is_gga": kind == "GGA",
            "is_meta_gga": kind == "MGGA",
            "is_hybrid_xc": long != 0 or short != 0,
            "rsh_coeff": (omega, long, short - long),
            "hybrid_coeff": short,
            "is_nlc": False,
            "nlc_coeff": (),
            "needs_laplacian": False,
            "max_deriv_order": HIGHEST_ORDER,
            "test_deriv_order": True,
            "xc_reference": [],
        }

    def __getattr__(self, question: str) -> Any:
        theirs = getattr(libxc, question)
        if question not in self._answers:
            return theirs
        answer = self._answers[question]
        return lambda code, *args, **kwargs: answer if code == NAME else theirs(code, *args, **kwargs)


class Integrator(NumInt):
    """PySCF's numerical integrator with the derivatives of a functional of jqc.

    Its interface is PySCF's: everything about the functional goes through `libxc`, every derivative through
    `eval_xc_eff`.
    """

    def __init__(self, functional: Functional):
        name = getattr(functional, "name", type(functional).__name__)
        if not functional.local:
            raise FunctionalError(
                f"{name} sees the whole grid at once (local is False), but PySCF's integrator asks point by point; "
                "use jqc.scf."
            )
        self.functional, self.libxc = functional, Library(functional)

    def probe(self, n_spins: int) -> None:
        """Evaluate the functional once, where it must be finite.

        Raises
        ------
        FunctionalError
            It is not: it reads positions of the points, which PySCF does not hand over.
        """
        u = np.full((n_spins, ROWS[read_by(self.functional)], 1), 0.3)
        if not all(np.all(np.isfinite(values)) for values in derivatives(self.functional, u, 1)):
            raise FunctionalError(
                "the functional is not finite at an ordinary density without positions of the points, which PySCF does "
                "not hand over; use jqc.scf."
            )

    def eval_xc_eff(self, xc_code, rho, deriv=1, omega=None, xctype=None, verbose=None, spin=None):
        """Energy per particle and derivatives by density features up to order `deriv`, padded with None to order 3.

        `rho` is (feature, grid) or, with spin, (2, feature, grid) of ρ, ∇ρ, τ (or ρ, ∇ρ, ∇²ρ, τ); LDA may leave out
        the feature axis. Derivatives lead with as many pairs of axes (2, feature), or axes (feature) without spin, as
        is their order.
        """
        if xc_code != NAME:
            return super().eval_xc_eff(xc_code, rho, deriv, omega, xctype, verbose)
        self._check_request(deriv, self.omega if omega is None else omega)
        rho = np.asarray(rho, dtype=float)
        resolved = (rho.ndim > 1 and len(rho) == 2) if spin is None else spin > 0
        u = rho.reshape(2 if resolved else 1, -1, rho.shape[-1])
        u = self._read(u[:, [0, 1, 2, 3, 5]] if u.shape[1] == 6 else u)
        density, (value, *slopes) = u[:, 0].sum(0), derivatives(self.functional, u, max(deriv, 1))
        here = np.asarray(present(density))
        per_particle = np.where(here, value, 0.0) / np.where(here, density, 1.0)
        if not resolved:
            slopes = [slope.squeeze(tuple(range(0, slope.ndim - 1, 2))) for slope in slopes]
        return [per_particle, *slopes[:deriv], *[None] * (HIGHEST_ORDER - deriv)]

    def _read(self, u: Float[np.ndarray, "spin feature grid"]) -> Float[np.ndarray, "spin feature grid"]:
        """The features that the functional reads."""
        rows = ROWS[read_by(self.functional)]
        if u.shape[1] < rows:
            raise FunctionalError(
                f"{rows} density features are read, but {u.shape[1]} were handed over; give them all."
            )
        return u[:, :rows]

    def _check_request(self, deriv: int, omega: float | None) -> None:
        if deriv > HIGHEST_ORDER:
            raise FunctionalError(f"derivatives of order {deriv} were asked for; there are {HIGHEST_ORDER}.")
        own = self.libxc.rsh_coeff(NAME)[0]
        if omega is not None and abs(omega) != own:
            raise FunctionalError(f"mf.omega is {omega}, but the functional's own ω is {own}; leave mf.omega unset.")


def derivatives(
    functional: Functional, u: Float[np.ndarray, "spin feature grid"], order: int
) -> list[Float[np.ndarray, "*derivative grid"]]:
    """Energy per volume (grid,) and its derivatives by u, (spin, feature, grid), … up to `order`, piece by piece."""
    n_points = u.shape[-1]
    pieces = []
    for first in range(0, n_points, PIECE):
        piece = u[..., first : first + PIECE]
        room = PIECE - piece.shape[-1]
        values = _derivatives(functional, np.pad(piece, ((0, 0), (0, 0), (0, room)), mode="edge"), order)
        pieces.append([np.asarray(value)[..., : PIECE - room] for value in values])
    return [np.concatenate(parts, axis=-1) for parts in zip(*pieces, strict=True)]


@partial(jax.jit, static_argnames="order")
def _derivatives(functional: Functional, u: Float[Array, "spin feature grid"], order: int) -> list[Array]:
    def energy(u: Float[Array, "spin feature"]) -> Float[Array, ""]:
        """A local functional's energy is Σ_g w_g e(u_g): that of one point of weight one is e."""
        nowhere = jnp.full((1, 3), jnp.nan)
        alone = Quadrature(nowhere, jnp.ones(1), nowhere, jnp.zeros(1, int))
        return functional.energy(spin_resolved(u[:, :, None]), alone)

    def orders(u: Float[Array, "spin feature"]) -> list[Array]:
        functions = [energy]
        for level in range(order):
            functions.append((jax.jacfwd if level else jax.grad)(functions[-1]))
        return [function(u) for function in functions]

    return jax.vmap(orders, in_axes=-1, out_axes=-1)(u)
