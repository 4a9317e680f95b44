"""Atomic orbitals on points: contracted spherical Gaussians and their gradients in pure JAX.

    φ(r) = S_lm(r − R) Σ_k c_k exp(−a_k |r − R|²),     ∂_i φ = R₁ x_i S_lm + R₀ ∂_i S_lm,
    R_n = Σ_k c_k (−2a_k)ⁿ exp(−a_k |r − R|²).

Shells of equal angular momentum are evaluated together, with the grid as the last (vectorised) axis.
Everything is differentiable in points, nuclear positions, exponents and coefficients.
"""

from dataclasses import dataclass
from math import pi, sqrt

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Shells:
    """Contracted shells of one angular momentum; the last ones are padding with zero coefficients.

    `coefficients` hold the normalisation; `atom` indexes the nuclei; `offset` is a shell's first orbital, beyond
    the last orbital for padding.
    """

    exponents: Float[Array, "shell prim"]
    coefficients: Float[Array, "shell prim"]
    atom: Int[Array, "shell"]
    offset: Int[Array, "shell"]

    def take(self, index: Int[Array, "active"]) -> "Shells":
        """Select shells."""
        return jax.tree.map(lambda leaf: leaf[index], self)


def solid_harmonics(l_max: int, x: Array, y: Array, z: Array) -> list[list[Array]]:
    """Real solid harmonics r^l Y_lm, orthonormal on the sphere, [l][l + m]; p as (x, y, z) like PySCF.

    Recursion of Helgaker, Jørgensen, Olsen, *Molecular Electronic-Structure Theory* (2000), eqs. 6.4.70–6.4.72.

    >>> import jax.numpy as jnp
    >>> one = jnp.ones(())
    >>> [len(s) for s in solid_harmonics(2, one, one, one)]
    [1, 3, 5]
    """
    r2 = x * x + y * y + z * z
    zero = jnp.zeros_like(x)
    table = [{0: jnp.ones_like(x)}]
    for l in range(l_max):
        last = table[-1]
        before = table[-2] if l > 0 else {}
        edge = sqrt((2 if l == 0 else 1) * (2 * l + 1) / (2 * l + 2))
        top, bottom = last[l], last[-l] if l > 0 else zero
        new = {l + 1: edge * (x * top - y * bottom), -l - 1: edge * (y * top + x * bottom)}
        for m in range(-l, l + 1):
            lower = sqrt((l + m) * (l - m)) * r2 * before[m] if abs(m) < l else zero
            new[m] = ((2 * l + 1) * z * last[m] - lower) / sqrt((l + m + 1) * (l - m + 1))
        table.append(new)
    ordered = [[level[m] for m in range(-l, l + 1)] for l, level in enumerate(table)]
    if l_max > 0:
        ordered[1] = [table[1][1], table[1][-1], table[1][0]]
    return [[sqrt((2 * l + 1) / (4 * pi)) * s for s in level] for l, level in enumerate(ordered)]


def _harmonics_and_gradients(l: int, r: tuple[Array, Array, Array]) -> tuple[Array, list[Array]]:
    """S_lm stacked as (shell, m, grid), and its three derivatives; one coordinate varies at a time, so zeros vanish."""

    def harmonics(*r):
        return jnp.stack(solid_harmonics(l, *r)[l], axis=1)

    def along(i):
        vary = lambda value: harmonics(*r[:i], value, *r[i + 1 :])  # noqa: E731
        return jax.jvp(vary, (r[i],), (jnp.ones_like(r[i]),))[1]

    return harmonics(*r), [along(i) for i in range(3)]


def _radial(shells: Shells, r2: Float[Array, "shell grid"], orders: int) -> list[Float[Array, "shell grid"]]:
    """R_n = Σ_k c_k (−2a_k)ⁿ exp(−a_k r²) for n < orders."""
    gaussians = jnp.exp(-shells.exponents[:, :, None] * r2[:, None, :])
    weights = shells.coefficients
    sums = []
    for _ in range(orders):
        sums.append(jnp.sum(weights[:, :, None] * gaussians, axis=1))
        weights = weights * (-2 * shells.exponents)
    return sums


def evaluate_shells(
    shells: Shells,
    l: int,
    atom_coords: Float[Array, "atom 3"],
    points: Float[Array, "grid 3"],
    gradient: bool,
) -> Float[Array, "row component grid"]:
    """Orbitals of one angular momentum on points; rows run over shells, then m, as PySCF's do."""
    centers = atom_coords[shells.atom]
    x, y, z = (points[None, :, i] - centers[:, None, i] for i in range(3))
    r = (x, y, z)
    radial = _radial(shells, x * x + y * y + z * z, 2 if gradient else 1)
    if not gradient:
        components = [jnp.stack(solid_harmonics(l, *r)[l], axis=1) * radial[0][:, None]]
    else:
        angular, slopes = _harmonics_and_gradients(l, r)
        components = [angular * radial[0][:, None]]
        components += [angular * (r[i] * radial[1])[:, None] + slopes[i] * radial[0][:, None] for i in range(3)]
    return jnp.stack(components, axis=2).reshape(-1, len(components), points.shape[0])


def evaluate(
    shells: tuple[Shells, ...],
    atom_coords: Float[Array, "atom 3"],
    points: Float[Array, "grid 3"],
    gradient: bool = True,
) -> Float[Array, "row component grid"]:
    """All shells (indexed by angular momentum) on points: φ alone, or φ, ∂_xφ, ∂_yφ, ∂_zφ, in bohr^(−3/2 …)."""
    rows = [evaluate_shells(s, l, atom_coords, points, gradient) for l, s in enumerate(shells)]
    return jnp.concatenate(rows)
