"""Where the two-electron factor (μν|λσ) = Σ_L B_Lμν B_Lλσ is kept, and how it is read a few rows at a time.

Small molecules keep all packed pairs μ ≥ ν in one array. Orbitals of large ones mostly do not meet: only pairs that
count are kept, in memory, or in a file on the host that is read anew in every pass.
"""

from dataclasses import dataclass, field
from math import gcd
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jqc.numerics import pack, unpack
from jqc.system.hosted import found
from jqc.typing import Array, Float, Int

MOST_ROWS, UNPACKED_NUMBERS = 32, 20_000_000
"""Fitting functions whose integrals are unpacked at a time, fewer where they would be more than so many numbers."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Screened:
    """B of the pairs that count; `pairs` are their places in the packed triangle, beyond its end for padding.

    Rows may be spread over the devices of a mesh of one axis.
    """

    rows: Float[Array, "aux kept"]
    pairs: Int[Array, "kept"]
    mesh: Mesh | None = field(default=None, metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and kept pairs, with padding."""
        return self.rows.shape[0], self.rows.shape[1]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Streamed:
    """B of the pairs that count, in a file of the host; `file` stands for a `jqc.system.scratch.Scratch`."""

    file: Int[Array, ""]
    pairs: Int[Array, "kept"]
    n_rows: int = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and kept pairs, with padding."""
        return self.n_rows, self.pairs.shape[0]


Factor: TypeAlias = Float[Array, "aux pair"] | Screened | Streamed
"""All pairs in memory, those that count in memory, or those on the host."""


def rows_at_once(factor: Factor, n: int) -> int:
    """Fitting functions of a chunk, a divisor of all: as many as `n` by `n` matrices of them are no burden."""
    most = min(MOST_ROWS, 1 << max(0, (UNPACKED_NUMBERS // n**2).bit_length() - 1))
    mesh = factor.mesh if isinstance(factor, Screened) else None
    return gcd(factor.shape[0] // (mesh.size if mesh else 1), most)


def chunks(factor: Factor, n: int) -> Array:
    """What a scan over chunks runs over; `read` makes rows of each."""
    size = rows_at_once(factor, n)
    if isinstance(factor, Streamed):
        return jnp.arange(factor.n_rows // size)
    rows = factor.rows if isinstance(factor, Screened) else factor
    return rows.reshape(-1, size, rows.shape[1])


def read(factor: Factor, n: int, chunk: Array) -> Float[Array, "row kept"]:
    """Rows of one of the `chunks`."""
    if not isinstance(factor, Streamed):
        return chunk
    size = rows_at_once(factor, n)
    shape = jax.ShapeDtypeStruct((size, factor.shape[1]), jnp.float64)
    rows = lambda file, number: found(file).rows(int(number) * size, size)  # noqa: E731
    return jax.pure_callback(rows, shape, factor.file, chunk, vmap_method="sequential")


def matrices(factor: Factor, rows: Float[Array, "row kept"], n: int) -> Float[Array, "row n n"]:
    """Full matrices from rows of a factor, zero where a pair does not count."""
    if not isinstance(factor, Screened | Streamed):
        return unpack(rows, n)
    kept = factor.pairs.shape[0]
    places = jnp.full(n * (n + 1) // 2, kept).at[factor.pairs].set(jnp.arange(kept), mode="drop")
    return jnp.take(rows, unpack(places, n), axis=-1, mode="fill", fill_value=0)


def packed(factor: Factor, dm: Float[Array, "n n"]) -> Float[Array, "kept"]:
    """The pairs of a density that a factor's rows meet: `rows @ packed` sums over all orbitals."""
    triangle = pack(dm)
    if not isinstance(factor, Screened | Streamed):
        return triangle
    return jnp.take(triangle, factor.pairs, mode="fill", fill_value=0)


@dataclass(frozen=True)
class HostRows:
    """A factor's real rows on the host as packed triangles of `n` orbitals, made a slice at a time."""

    factor: Factor
    n_rows: int
    n: int

    __array_ufunc__ = None  # products with arrays on the left are ours

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, rows: slice) -> Float[np.ndarray, "row pair"]:
        first, last, _ = rows.indices(self.n_rows)
        pairs = self.n * (self.n + 1) // 2
        if not isinstance(self.factor, Screened | Streamed):
            return np.asarray(self.factor[first:last, :pairs])
        kept, places = self._kept(first, last), np.asarray(self.factor.pairs)
        triangle = np.zeros((last - first, pairs))
        inside = places < pairs
        triangle[:, places[inside]] = kept[:, inside]
        return triangle

    def _kept(self, first: int, last: int) -> np.ndarray:
        if isinstance(self.factor, Streamed):
            return found(self.factor.file).rows(first, last - first)
        return np.asarray(self.factor.rows[first:last])  # pyright: ignore[reportAttributeAccessIssue]

    def __matmul__(self, vector: Float[np.ndarray, "pair"]) -> Float[np.ndarray, "row"]:
        return np.concatenate([self[block] @ vector for block in self._blocks()])

    def __rmatmul__(self, matrix: Float[np.ndarray, "x row"]) -> Float[np.ndarray, "x pair"]:
        products = (matrix[:, block] @ self[block] for block in self._blocks())
        return sum(products, np.zeros((len(matrix), self.n * (self.n + 1) // 2)))

    def _blocks(self) -> list[slice]:
        size = rows_at_once(self.factor, self.n)
        return [slice(first, first + size) for first in range(0, self.n_rows, size)]
