"""Labels: what a teacher functional says of one molecule, at its solution and at densities around it.

Tangents X are seeded and random: what orbitals answer to a random one-electron perturbation W without
self-consistency, X_ai ∝ W_ai/(ε_a − ε_i). The teacher's Hessian is taken along each at the solution; where the geodesic
of each ends, the energy and its gradient are taken. Energies, gradients and products are given whole, and again for
exact exchange of each range alone with coefficient one, which a quadrature could not make again.
"""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jqc.distill.exchange import ExchangeLabels, exchange_labels, named
from jqc.errors import InputError
from jqc.scf import SCFSettings, scf
from jqc.scf.grassmann import Point, absent, exponential, gradient_from, hvp_from, point, reference_at
from jqc.scf.repulsion import exchange_operator
from jqc.scf.result import SCFResult
from jqc.system import Molecule, System, build_system, keep_orbitals
from jqc.system.grid import check_level
from jqc.system.lengths import Lengths
from jqc.system.padding import pad_axis
from jqc.typing import Array, Bool, Float
from jqc.xc.base import Functional

SMALLEST_RISE, LARGEST_RISE = 1e-3, 1e-1
"""Range of energies in hartree by which displaced densities lie above the solution, estimated; drawn log-uniformly."""

SMALLEST_GAP = 0.05
"""Floor of orbital energy differences in hartree where they scale tangents and gradients."""

RESIDUAL = 1e-7
"""Orbital gradient that a labelled solution must reach; what is left of it is an error of every gradient label."""

Arrays = dict[str, tuple[np.ndarray, str]]
"""Named arrays, each with its unit."""


@dataclass(frozen=True)
class LabelSettings:
    """What is computed for every molecule.

    `derivatives` tangents are drawn with `seed` and the molecule's name; zero leaves out all that goes with them.
    """

    functional: str = "b3lyp"
    basis: str = "def2-svp"
    aux_basis: str | None = None
    coulomb: str = "df"
    grid_level: int = 3
    derivatives: int = 2
    seed: int = 0

    def __post_init__(self):
        if self.derivatives < 0:
            raise InputError(f"{self.derivatives} derivatives cannot be taken; give zero or more tangents.")
        check_level(self.grid_level)

    def as_dict(self) -> dict[str, str | int | None]:
        """By name, for a store."""
        return asdict(self)

    def system(self, molecule: Molecule, room: Lengths | None = None, **options: Any) -> System:
        """The molecule with the basis and the quadrature of labels; options as of `jqc.system.build_system`."""
        return build_system(molecule, self.basis, self.aux_basis, self.coulomb, self.grid_level, like=room, **options)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Derivatives:
    """Energies and gradients at the solution and where geodesics of tangents end, products at the solution."""

    energies: Float[Array, "density"]
    gradients: Float[Array, "density spin virt occ"]
    products: Float[Array, "tangent spin virt occ"]
    exchange: dict[float, ExchangeLabels]


def label(molecule: Molecule, name: str, settings: LabelSettings, room: Lengths | None = None) -> Arrays:
    """Everything a record holds for one molecule.

    Parameters
    ----------
    molecule, name
        The name seeds the tangents, so that a molecule's label does not depend on what else is labelled.
    settings
        The teacher and how it is solved.
    room
        Array lengths shared with other molecules, whose compiled programs serve again.

    Raises
    ------
    ConvergenceError
        The SCF does not converge.
    """
    system, solver = settings.system(molecule, room), SCFSettings(residual_tolerance=RESIDUAL)
    result = scf(system, settings.functional, settings=solver).check()
    arrays = _solution(result)
    if settings.derivatives:
        arrays |= _around(result, settings, name)
    return arrays


def _solution(result: SCFResult) -> Arrays:
    """Density, orbitals, energy and its parts, dipole; spins lead, one if restricted."""
    n_ao = result.dm.shape[-1]
    mo_coeff, mo_energy, occupations = result.by_spin
    parts = {f"energy_{name}": (np.asarray(value), "hartree") for name, value in vars(result.parts).items()}
    parts["n_electrons_quadrature"] = (parts.pop("energy_n_electrons_quadrature")[0], "1")
    molecule = result.system.molecule
    return {
        "numbers": (np.asarray(molecule.numbers), "1"),
        "coords": (np.asarray(molecule.coords), "bohr"),
        "energy": (np.asarray(result.energy), "hartree"),
        **parts,
        "dm": (np.asarray(result.dm).reshape(-1, n_ao, n_ao), "1"),
        "mo_coeff": (mo_coeff, "1"),
        "mo_energy": (mo_energy, "hartree"),
        "occupations": (occupations, "1"),
        "dipole": (np.asarray(result.dipole), "e bohr"),
    }


def _around(result: SCFResult, settings: LabelSettings, name: str) -> Arrays:
    """Tangents and what the teacher says along them."""
    system = keep_orbitals(result.system)
    at = padded_point(system, result.mo_coeff)
    scale = curvature(at, result.by_spin[1])
    overlap = np.asarray(system.overlap)[: int(system.n_ao), : int(system.n_ao)]
    seed = np.random.SeedSequence([settings.seed, *name.encode()])
    tangents = draw_tangents(at, scale, overlap, settings.derivatives, seed)
    found = _derivatives(result.functional, system, at, tangents)
    return _without_padding(scale > 0, tangents, found)


def padded_point(system: System, mo_coeff: Float[Array, "*spin ao mo"]) -> Point:
    """The solution with columns of zeros, so that molecules of one size class share programs."""
    at = point(system, np.asarray(mo_coeff))  # pyright: ignore[reportArgumentType]
    widened = lambda frame, n: jnp.asarray(pad_axis(np.asarray(frame), n, -1))  # noqa: E731
    return Point(widened(at.occupied, system.occupied), widened(at.virtual, system.n_padded))


def curvature(at: Point, mo_energy: Float[np.ndarray, "spin mo"]) -> Float[np.ndarray, "spin virt occ"]:
    """2n(ε_a − ε_i), the energy's second derivative without its kernel; zero where an orbital is absent."""
    scale = np.zeros((len(at.occupied), at.virtual.shape[-1], at.occupied.shape[-1]))
    for each, filled, energies in zip(scale, ~np.asarray(absent(at.occupied)), mo_energy, strict=True):
        n = filled.sum()
        difference = energies[n:, None] - energies[:n]
        each[: len(difference), :n] = 2 * at.electrons_per_orbital * np.maximum(difference, SMALLEST_GAP)
    return scale


def draw_tangents(
    at: Point,
    scale: Float[np.ndarray, "spin virt occ"],
    overlap: Float[np.ndarray, "ao ao"],
    count: int,
    seed: np.random.SeedSequence,
) -> Float[Array, "tangent spin virt occ"]:
    """Answers of the orbitals to random perturbations W, as long as densities are to lie some energy above.

    X = C_vᵀ W C_o / 2n(ε_a − ε_i), W = S^½ G S^½ with a random symmetric G: elements of C_vᵀ W C_o are independent
    normal numbers, whichever signs the orbitals have and however degenerate ones are mixed. To second order and without
    the kernel the density at X lies ½ Σ 2n(ε_a − ε_i) X_ai² higher: from `SMALLEST_RISE` to `LARGEST_RISE`. As many of
    them as a small system has rotations are made orthogonal in that metric: products along them are the whole Hessian.
    Where there are no rotations tangents are zero.
    """
    random = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(overlap)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    n = len(overlap)
    occupied, virtual = (np.asarray(frame)[:, :n] for frame in (at.occupied, at.virtual))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    tangents, rises = np.zeros((count, *scale.shape)), np.zeros(count)
    for k in range(count):
        draws = random.normal(size=(len(scale), n, n))
        perturbations = root @ (draws + draws.swapaxes(1, 2)) @ root
        tangents[k] = inverse * (virtual.swapaxes(1, 2) @ perturbations @ occupied)
        rises[k] = np.exp(random.uniform(np.log(SMALLEST_RISE), np.log(LARGEST_RISE)))
    if count >= (scale > 0).sum():
        tangents = _orthogonal(tangents, scale)
    squares = np.sum(scale * tangents**2, axis=(1, 2, 3))
    lengths = np.sqrt(np.divide(2 * rises, squares, out=np.zeros_like(rises), where=squares > 0))
    return jnp.asarray(tangents * lengths[:, None, None, None])


def _orthogonal(
    tangents: Float[np.ndarray, "tangent spin virt occ"], scale: Float[np.ndarray, "spin virt occ"]
) -> Float[np.ndarray, "tangent spin virt occ"]:
    """The first ones made orthogonal in the metric 2n(ε_a − ε_i), as many as there are rotations; Gram and Schmidt."""
    exists = scale > 0
    root = np.sqrt(scale[exists])
    found, upper = np.linalg.qr((tangents[: len(root), exists] * root).T)
    complete = tangents.copy()
    complete[: len(root), exists] = (found * np.sign(np.diag(upper))).T / root
    return complete


@jax.jit
def _derivatives(
    functional: Functional, system: System, at: Point, tangents: Float[Array, "tangent spin virt occ"]
) -> Derivatives:
    """Products at a point along tangents, energies and gradients where their geodesics end."""
    displaced = jax.lax.map(partial(exponential, at), tangents)
    held = reference_at(functional, system, at)

    def energy_and_gradient(at: Point):
        there = reference_at(functional, system, at)
        return there.energy, gradient_from(at, there.fock)

    energies, gradients = jax.lax.map(energy_and_gradient, displaced)
    operators = {omega: exchange_operator(system, omega) for omega, _ in functional.exchange}
    return Derivatives(
        jnp.concatenate([held.energy[None], energies]),
        jnp.concatenate([gradient_from(at, held.fock)[None], gradients]),
        jax.lax.map(lambda x: hvp_from(functional, system, at, held, x), tangents),
        {omega: exchange_labels(operator, at, displaced, tangents) for omega, operator in operators.items()},
    )


def _without_padding(exists: Bool[np.ndarray, "spin virt occ"], tangents, found: Derivatives) -> Arrays:
    """Arrays of real orbitals only."""
    virt, occ = (int(np.argwhere(exists)[:, axis].max(initial=-1)) + 1 for axis in (1, 2))
    cut = lambda array: np.asarray(array)[..., :virt, :occ] if array.ndim > 1 else np.asarray(array)  # noqa: E731
    return {
        "tangents": (cut(tangents), "1"),
        "energies": (cut(found.energies), "hartree"),
        "gradients": (cut(found.gradients), "hartree"),
        "hessian_products": (cut(found.products), "hartree"),
        **{name: (cut(value), "hartree") for name, value in named(found.exchange).items()},
    }
