"""A labelled molecule as training sees it: orbitals, a quadrature, tangents, and what exact exchange says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jqc.distill.exchange import ExchangeLabels, stored_exchange
from jqc.distill.labels import curvature
from jqc.errors import InputError
from jqc.scf.grassmann import Point, Tangent, frames, generator
from jqc.system import Molecule, System, build_system
from jqc.system.lengths import Lengths
from jqc.system.sampled import Sampled, sample
from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Example:
    """One molecule at its teacher's solution and at displaced densities; the solution comes first.

    `curvature` is 2n(ε_a − ε_i), the metric of gradients and tangents, zero where an orbital is absent. `integrals` are
    there for a loss that asks for them: a system without shells and quadrature, which are those of `sampled`.
    """

    sampled: Sampled
    points: Point
    tangents: Float[Array, "tangent spin virt occ"]
    curvature: Float[Array, "spin virt occ"]
    exchange: dict[float, ExchangeLabels]
    n_electrons: Float[Array, ""]
    integrals: System | None = None

    @property
    def system(self) -> System:
        """What E[P] needs.

        Raises:
            InputError: the example holds no integrals.
        """
        if self.integrals is None:
            raise InputError("the example holds no integrals; add them with jqc.distill.example.with_integrals.")
        return replace(self.integrals, shells=self.sampled.shells, groups=self.sampled.groups)

    def at(self, densities: Int[Array, "density"]) -> "Example":
        """The example with some of its densities, by their numbers; the solution is 0."""
        exchange = {
            omega: replace(each, energies=each.energies[densities], gradients=each.gradients[densities])
            for omega, each in self.exchange.items()
        }
        return replace(self, points=jax.tree.map(lambda leaf: leaf[densities], self.points), exchange=exchange)

    @property
    def electrons_per_orbital(self) -> int:
        """Two if restricted, else one."""
        return 2 // self.tangents.shape[1]

    @property
    def inverse_curvature(self) -> Tangent:
        """1/D, zero where an orbital is absent."""
        exists = self.curvature > 0
        return jnp.where(exists, 1.0 / jnp.where(exists, self.curvature, 1.0), 0.0)


def make_example(
    arrays: Mapping[str, np.ndarray],
    molecule: Molecule,
    basis: str,
    grid_level: int | None = None,
    room: Lengths | None = None,
) -> Example:
    """An example of host arrays in double precision from a record that holds derivatives."""
    sampled = sample(molecule, basis, grid_level, room)
    mo_coeff = jnp.asarray(arrays["mo_coeff"])
    n_padded = int(sampled.shells[0].offset[-1])
    at = frames((molecule.n_alpha, molecule.n_beta), n_padded, mo_coeff[0] if len(mo_coeff) == 1 else mo_coeff)
    displaced = [_end(at, tangent) for tangent in arrays["tangents"]]
    example = Example(
        sampled,
        jax.tree.map(lambda *each: np.stack(each), at, *displaced),
        arrays["tangents"],  # pyright: ignore[reportArgumentType]
        curvature(at, arrays["mo_energy"]),  # pyright: ignore[reportArgumentType]
        stored_exchange(arrays),
        np.asarray(float(molecule.n_electrons)),  # pyright: ignore[reportArgumentType]
    )
    return jax.tree.map(np.asarray, example)


def _end(at: Point, tangent: np.ndarray) -> Point:
    """Where a geodesic ends, on the host: no program is compiled for the shapes of one molecule."""
    from scipy.linalg import expm

    occ = at.occupied.shape[-1]
    both = np.concatenate([at.occupied, at.virtual], axis=-1)
    turned = both @ np.stack([expm(each) for each in np.asarray(generator(jnp.asarray(tangent)))])
    return Point(turned[..., :occ], turned[..., occ:])  # pyright: ignore[reportArgumentType]


def with_integrals(
    example: Example,
    molecule: Molecule,
    basis: str,
    aux_basis: str | None = None,
    coulomb: str = "df",
    room: Lengths | None = None,
) -> Example:
    """The example with the integrals of its molecule, made as `jqc.build_system` makes them.

    The whitened fitting tensor is most of it: in def2-SVP 7 MB for ethanol, 230 MB for aspirin.
    """
    point = np.zeros((1, 3)), np.ones(1)  # in place of a quadrature, which `sampled` has
    system = build_system(molecule, basis, aux_basis, coulomb, like=room, grid=point)
    return replace(example, integrals=jax.tree.map(np.asarray, replace(system, shells=(), groups=())))


def stack(examples: Sequence[Example], dtype: type = np.float32) -> Example:
    """Examples of one class as one, with a leading axis; what is shorter is padded with zeros, for nothing.

    Integrals stay in double precision.
    """
    stacked = jax.tree.map(partial(_joined, dtype), *(replace(each, integrals=None) for each in examples))
    integrals = jax.tree.map(partial(_joined, np.float64), *(each.integrals for each in examples))
    return replace(stacked, integrals=integrals)


def _joined(dtype: type, *leaves: np.ndarray) -> np.ndarray:
    kind = dtype if np.issubdtype(leaves[0].dtype, np.floating) else leaves[0].dtype
    shape = [max(lengths) for lengths in zip(*(leaf.shape for leaf in leaves), strict=True)]
    stacked = np.zeros((len(leaves), *shape), kind)
    for k, leaf in enumerate(leaves):
        stacked[(k, *map(slice, leaf.shape))] = leaf
    return stacked
