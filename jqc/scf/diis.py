"""Convergence acceleration: commutator DIIS near the solution, augmented energy DIIS far from it.

All matrices are in an orthonormal basis. `init`/`extrapolate`, arrays of fixed length, no branches on the host.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class History:
    """The last Fock matrices, their densities and commutators; slots are filled in turn."""

    focks: Float[Array, "slot spin mo mo"]
    dms: Float[Array, "slot spin mo mo"]
    errors: Float[Array, "slot spin mo mo"]
    count: Int[Array, ""]


def init(slots: int, like: Float[Array, "spin mo mo"]) -> History:
    """Empty history of a number of slots."""
    empty = jnp.zeros((slots, *like.shape), like.dtype)
    return History(empty, empty, empty, jnp.zeros((), jnp.int32))


def commutator(fock: Float[Array, "spin mo mo"], dm: Float[Array, "spin mo mo"]) -> Float[Array, "spin mo mo"]:
    """FD − DF, zero for a stationary density (Pulay, J. Comput. Chem. 3, 556 (1982), doi:10.1002/jcc.540030413)."""
    product = fock @ dm
    return product - jnp.swapaxes(product, -1, -2)


def push(history: History, fock: Float[Array, "spin mo mo"], dm: Float[Array, "spin mo mo"]) -> History:
    """Put a Fock matrix and its density in the oldest slot."""
    slot = history.count % history.focks.shape[0]
    return History(
        history.focks.at[slot].set(fock),
        history.dms.at[slot].set(dm),
        history.errors.at[slot].set(commutator(fock, dm)),
        history.count + 1,
    )


def extrapolate(history: History, energy_weight: Float[Array, ""]) -> Float[Array, "spin mo mo"]:
    """Combined Fock matrix: commutator DIIS, mixed with a share `energy_weight` (0…1) of augmented DIIS."""
    coefficients = jax.lax.cond(
        energy_weight > 0,
        lambda h: energy_weight * energy_coefficients(h) + (1 - energy_weight) * commutator_coefficients(h),
        commutator_coefficients,
        history,
    )
    return jnp.einsum("k,ksmn->smn", coefficients, history.focks)


def _used(history: History) -> Float[Array, "slot"]:
    """One for slots that hold something."""
    slots = history.focks.shape[0]
    return (jnp.arange(slots) < history.count).astype(history.focks.dtype)


def commutator_coefficients(history: History) -> Float[Array, "slot"]:
    """Coefficients that sum to one and minimise the norm of the combined commutator.

    The bordered system is solved through its eigenvectors, small eigenvalues left out, so that nearly equal
    commutators do no harm.
    """
    slots = history.focks.shape[0]
    used = _used(history)
    errors = history.errors.reshape(slots, -1)
    overlap = errors @ errors.T
    overlap = overlap / jnp.maximum(jnp.max(jnp.abs(overlap)), 1e-300)
    bordered = jnp.zeros((slots + 1, slots + 1), overlap.dtype)
    bordered = bordered.at[:-1, :-1].set(overlap * jnp.outer(used, used) + jnp.diag(1 - used))
    bordered = bordered.at[-1, :-1].set(used).at[:-1, -1].set(used)
    values, vectors = jnp.linalg.eigh(bordered)
    inverse = jnp.where(jnp.abs(values) > 1e-14, 1 / jnp.where(values == 0, 1.0, values), 0.0)
    return (vectors @ (inverse * vectors[-1]))[:-1] * used


def energy_coefficients(history: History, iterations: int = 60) -> Float[Array, "slot"]:
    """Weights on the simplex that minimise the augmented Roothaan–Hall energy around the newest density.

    f(c) = 2 Σ_i c_i ⟨D_i − D_n, F_n⟩ + Σ_ij c_i c_j ⟨D_i − D_n, F_j − F_n⟩
    (Hu and Yang, J. Chem. Phys. 132, 054109 (2010), doi:10.1063/1.3304922, eq. 8); projected gradient descent.
    """
    slots = history.focks.shape[0]
    used = _used(history)
    newest = (history.count - 1) % slots
    dms = ((history.dms - history.dms[newest]) * used[:, None, None, None]).reshape(slots, -1)
    slopes = 2 * dms @ history.focks[newest].reshape(-1)
    focks = ((history.focks - history.focks[newest]) * used[:, None, None, None]).reshape(slots, -1)
    curvature = dms @ focks.T
    curvature = curvature + curvature.T
    step = 1 / jnp.maximum(jnp.max(jnp.sum(jnp.abs(curvature), axis=1)), 1e-12)

    def descend(_, c):
        return project_simplex(c - step * (slopes + curvature @ c), used)

    return jax.lax.fori_loop(0, iterations, descend, jax.nn.one_hot(newest, slots, dtype=used.dtype))


def project_simplex(c: Float[Array, "slot"], used: Float[Array, "slot"]) -> Float[Array, "slot"]:
    """Nearest point with c ≥ 0, Σ c = 1 among the used slots.

    >>> import jax.numpy as jnp
    >>> project_simplex(jnp.array([2.0, 0.5, 9.0]), jnp.array([1.0, 1.0, 0.0])).tolist()
    [1.0, 0.0, 0.0]
    """
    candidates = jnp.where(used > 0, c, -jnp.inf)
    ordered = jnp.sort(candidates)[::-1]
    ranks = jnp.arange(1, c.shape[0] + 1)
    finite = jnp.where(jnp.isfinite(ordered), ordered, 0.0)
    excess = (jnp.cumsum(finite) - 1) / ranks
    count = jnp.sum(ordered - excess > 0)
    return jnp.where(used > 0, jnp.maximum(c - excess[count - 1], 0.0), 0.0)
