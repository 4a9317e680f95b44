"""Making the two-electron factor of a molecule, all pairs or those that count, in memory or on the host."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from jqc.system.basis import auxiliary_basis
from jqc.system.budget import (
    Plan,
    Size,
    atomic_points,
    machine_memory,
    orbital_budget,
    plan,
    whole_bytes,
    whole_limit,
)
from jqc.system.factors import Factor, Screened, Streamed
from jqc.system.hosted import host_object
from jqc.system.integrals import fitted_columns, repulsion_factor
from jqc.system.padding import size_class
from jqc.system.scratch import Scratch
from jqc.system.screening import PairBlock, pair_blocks
from jqc.typing import Array, Float


def plan_for(mole, auxiliary, grid_level: int, memory: int | None) -> Plan:
    """Where the integrals of a molecule go and what is left for its orbitals.

    Raises:
        MemoryLimitError: see `jqc.system.budget.plan`.
    """
    orbitals, fitting = size_class(mole.nao), size_class(fitting_functions(mole, auxiliary))
    if memory is None and whole_bytes(orbitals, fitting) <= whole_limit(machine_memory() // 2):
        return Plan("whole", orbital_budget())  # as most are, which neither pairs nor points need be counted for
    size = Size(
        orbitals=orbitals,
        fitting=fitting,
        pairs=size_class(sum(block.places.size for block in pair_blocks(mole))),
        points=atomic_points(mole, grid_level),
        spins=1 if mole.spin == 0 else 2,
    )
    return plan(size, memory)


def fitting_functions(mole, auxiliary) -> int:
    """Fitting functions of a set."""
    from pyscf import df

    return df.addons.make_auxmol(mole, auxiliary).nao


def make_factor(mole, auxiliary, omega: float, storage: str, n_padded: int, n_rows: int = 0) -> Factor:
    """The factor of one range, padded to `n_padded` orbitals and `n_rows` fitting functions or more."""
    if storage == "whole":
        return pad_factor(repulsion_factor(mole, auxiliary, omega), n_padded, n_rows)
    blocks = pair_blocks(mole)
    pairs = _padded_places(blocks, n_padded)
    n_rows = max(n_rows, size_class(fitting_functions(mole, auxiliary)))
    columns = _placed(fitted_columns(mole, auxiliary, omega, blocks))
    keep = _in_memory if storage == "screened" else _on_disk
    return keep(columns, n_rows, jnp.asarray(pairs))


def _padded_places(blocks: list[PairBlock], n_padded: int) -> np.ndarray:
    """Places of kept pairs in the triangle of all padded pairs, whose rows come first; padding lies beyond its end."""
    places = np.concatenate([block.places for block in blocks])
    padded = np.full(size_class(places.size), n_padded * (n_padded + 1) // 2, np.int32)
    padded[: places.size] = places
    return padded


def _in_memory(placed: Iterator[tuple[int, np.ndarray]], n_rows: int, pairs: Array) -> Screened:
    rows = aligned_zeros((n_rows, pairs.shape[0]))
    for start, columns in placed:
        rows[: len(columns), start : start + columns.shape[1]] = columns
    return Screened(jax.device_put(rows, may_alias=True), pairs)


def _on_disk(placed: Iterator[tuple[int, np.ndarray]], n_rows: int, pairs: Array) -> Streamed:
    table = Scratch(n_rows, pairs.shape[0])
    for start, columns in placed:
        table.write(start, columns)
    return Streamed(host_object(table), pairs, n_rows)


def _placed(blocks: Iterator[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of columns and where they begin."""
    start = 0
    for columns in blocks:
        yield start, columns
        start += columns.shape[1]


def aligned_zeros(shape: tuple[int, int]) -> np.ndarray:
    """Zeros that begin where a device of the host can take them over as they are, instead of copying them."""
    size = 8 * int(np.prod(shape))
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(np.float64).reshape(shape)


def pad_factor(factor: np.ndarray, n_padded: int, length: int = 0) -> Float[Array, "aux pair"]:
    """Pad a packed factor to `length` rows or more; the lower triangle's rows come first, so padded pairs come last."""
    padded = aligned_zeros((max(length, size_class(factor.shape[0])), n_padded * (n_padded + 1) // 2))
    padded[: factor.shape[0], : factor.shape[1]] = factor
    return jax.device_put(padded, may_alias=True)


def factor_like(system, mole, omega: float) -> Factor:
    """The factor of another range, kept as that of 1/r is."""
    held = system.repulsion[0.0]
    storage = "screened" if isinstance(held, Screened) else "streamed" if isinstance(held, Streamed) else "whole"
    auxiliary = None if system.coulomb == "exact" else auxiliary_basis(mole, system.aux_basis)[0]
    return make_factor(mole, auxiliary, omega, storage, system.n_padded, held.shape[0])
