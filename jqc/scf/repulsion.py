"""Coulomb energy and exact exchange as linear maps of the density, however their integrals are kept.

½ (D|D) = ½ Σ_L (Σ_μν B_Lμν D_μν)²,     K_μν = Σ_Lλσ B_Lμλ D_λσ B_Lσν
"""

from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.sharding import PartitionSpec

from jqc.errors import FunctionalError
from jqc.numerics import instantiated, with_shortcut
from jqc.system import System
from jqc.system.factors import Factor, Screened, Streamed, chunks, matrices, packed, read
from jqc.system.seminumerical import Seminumerical, exchange_on_grid
from jqc.typing import Array, Float
from jqc.xc.base import Functional

Operator: TypeAlias = Factor | Seminumerical
"""What makes K of a density."""


def coulomb_energy(factor: Factor, dm: Float[Array, "ao ao"]) -> Float[Array, ""]:
    """½ (D|D) = ½ Σ_L (Σ_μν B_Lμν D_μν)²; its gradient is the Coulomb matrix."""
    pairs = packed(factor, dm)
    if isinstance(factor, Streamed):
        return _streamed_energy(pairs, factor, dm.shape[0])
    gamma = (factor.rows if isinstance(factor, Screened) else factor) @ pairs
    return 0.5 * gamma @ gamma


def _streamed_matrix(pairs: Float[Array, "kept"], factor: Streamed, n: int) -> Float[Array, "kept"]:
    """BᵀB d in one pass over the rows."""

    def add(total, chunk):
        rows = read(factor, n, chunk)
        return total + rows.T @ (rows @ pairs), None

    return jax.lax.scan(add, jnp.zeros_like(pairs), chunks(factor, n))[0]


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _streamed_energy(pairs: Float[Array, "kept"], factor: Streamed, n: int) -> Float[Array, ""]:
    """½ ‖B d‖²; its value and slope come from the same pass."""
    return 0.5 * pairs @ _streamed_matrix(pairs, factor, n)


@_streamed_energy.defjvp
def _streamed_energy_jvp(n, primals, tangents):
    pairs, factor = primals
    matrix = _streamed_matrix(pairs, factor, n)
    return 0.5 * pairs @ matrix, matrix @ tangents[0]


def _over_chunks(factor: Factor, contribution, *operands: Array) -> Float[Array, "ao column"]:
    """Sum over fitting functions of `contribution(B, *operands)`, B unpacked (chunk, ao, ao), a chunk at a time.

    The sum has the shape of the first operand; each device of the factor's mesh adds up its own rows.
    """
    n = operands[0].shape[0]

    def total(factor, chunks, start, *operands):
        @partial(jax.checkpoint, prevent_cse=False)
        def add(total, chunk):
            return total + contribution(matrices(factor, read(factor, n, chunk), n), *operands), None

        return jax.lax.scan(add, start, chunks)[0]

    start = jnp.zeros_like(operands[0])
    if not isinstance(factor, Screened) or not factor.mesh:
        return total(factor, chunks(factor, n), start, *operands)
    axes = factor.mesh.axis_names

    def of_device(pairs, chunks, start, *operands):
        places = Screened(jnp.zeros((0, pairs.shape[0])), pairs)
        return jax.lax.psum(total(places, chunks, jax.lax.pcast(start, axes, to="varying"), *operands), axes)

    specs = PartitionSpec(), PartitionSpec(axes), *[PartitionSpec()] * (1 + len(operands))
    summed = jax.shard_map(of_device, mesh=factor.mesh, in_specs=specs, out_specs=PartitionSpec())
    return summed(factor.pairs, chunks(factor, n), start, *operands)


def _exchange_from_dm(dm: Float[Array, "ao ao"], operator: Operator) -> Float[Array, "ao ao"]:
    """K_μν = Σ_Lλσ B_Lμλ D_λσ B_Lσν."""
    if isinstance(operator, Seminumerical):
        return exchange_on_grid(dm, operator)
    return _over_chunks(operator, lambda b, dm: jnp.einsum("lms,lns->mn", b @ dm, b), dm)


def _exchange_from_occupied(occupied: Float[Array, "ao occ"], dm, operator: Operator) -> Float[Array, "ao ao"]:
    """K_μν = Σ_Li X_Lμi X_Lνi, X = B A with D = A Aᵀ."""
    if isinstance(operator, Seminumerical):
        return exchange_on_grid(dm, operator)

    def contribution(b, _, occupied):
        half = b @ occupied
        return jnp.einsum("lmi,lni->mn", half, half)

    return _over_chunks(operator, contribution, dm, occupied)


exchange_matrix = with_shortcut(_exchange_from_dm, _exchange_from_occupied)
"""K[D] of one spin as `exchange_matrix(occupied or None, dm, operator)`; linear in D."""


def exchange_on_pair(
    left: Float[Array, "ao occ"], right: Float[Array, "ao occ"], operator: Operator, sign: int = 1
) -> Float[Array, "ao occ"]:
    """K[A Bᵀ + B Aᵀ] B of two factors A, B, or K[A Bᵀ − B Aᵀ] B with `sign=-1`.

    Raises:
        FunctionalError: the antisymmetric K of a quadrature, which knows symmetric densities only.
    """
    if isinstance(operator, Seminumerical):
        if sign < 0:
            raise FunctionalError(
                "exchange='grid' has no response to antisymmetric changes; build the system with exchange='df'."
            )
        change = left @ right.T
        return exchange_on_grid(change + change.T, operator) @ right

    def contribution(b, left, right):
        half = b @ right
        direct = jnp.einsum("lmj,lji->mi", b @ left, right.T @ half)
        return direct + sign * jnp.einsum("lmj,lji->mi", half, left.T @ half)

    return _over_chunks(operator, contribution, left, right)


@jax.custom_jvp
def exchange_energy(
    occupied: Float[Array, "ao occ"] | None, dm: Float[Array, "ao ao"], operator: Operator
) -> Float[Array, ""]:
    """½ Σ (μλ|σν) D_μν D_λσ of one spin; its gradient is the exchange matrix, built once for value and slope."""
    return 0.5 * jnp.sum(dm * exchange_matrix(occupied, dm, operator))


@partial(exchange_energy.defjvp, symbolic_zeros=True)
def _exchange_energy_jvp(primals, tangents):
    occupied, dm, operator = primals
    _, dm_slope, operator_slope = tangents
    matrix = exchange_matrix(occupied, dm, operator)
    value = 0.5 * jnp.sum(dm * matrix)
    slope = jnp.zeros_like(value)
    if not isinstance(dm_slope, SymbolicZero):
        slope = slope + jnp.sum(matrix * dm_slope)
    if not all(isinstance(leaf, SymbolicZero) for leaf in jax.tree.leaves(operator_slope, is_leaf=_is_zero)):
        operator_slope = jax.tree.map(instantiated, operator_slope, is_leaf=_is_zero)
        moved = jax.jvp(lambda b: exchange_matrix(occupied, dm, b), (operator,), (operator_slope,))[1]
        slope = slope + 0.5 * jnp.sum(dm * moved)
    return value, slope


def _is_zero(tangent) -> bool:
    return isinstance(tangent, SymbolicZero)


def check_exchange(functional: Functional, exchange: str, moving: bool = False) -> None:
    """Refuse a functional whose exact exchange a system built with this option cannot give, or not as atoms move.

    Raises:
        FunctionalError: no integrals for it at all, or none that have derivatives by nuclear positions.
    """
    if functional.exchange and exchange == "none":
        raise FunctionalError("the functional has exact exchange, exchange='none' has not; choose 'df' or 'grid'.")
    if functional.exchange and exchange == "grid" and moving:
        raise FunctionalError("exchange='grid' has no derivatives by nuclear positions; choose 'df'.")


def exchange_operator(system: System, omega: float) -> Operator:
    """What makes exact exchange of range ω.

    Raises:
        FunctionalError: the system holds no integrals of that range.
    """
    if system.on_grid is not None:
        return Seminumerical(system.on_grid, omega)
    if omega not in system.repulsion or system.exchange == "none":
        raise FunctionalError(
            f"the functional needs exact exchange with ω = {omega}, for which this system holds no integrals; add them "
            f"with jqc.system.with_range(system, ({omega},)), of a system that was built with exchange='df'."
        )
    return system.repulsion[omega]
