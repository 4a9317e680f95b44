"""Functions of a vector around a centre: even-tempered Gaussians times solid harmonics under a smooth cutoff.

All of them are functions of r² and polynomials of the components, so that derivatives of every order exist at the
centre and at the cutoff.
"""

import e3x
import jax.numpy as jnp
import numpy as np

from jqc.typing import Array, Float

VANISHED = 0.99
"""Share of the squared cutoff beyond which the envelope, there e⁻⁹⁹, counts as zero; its exponent diverges at 1."""


def envelope(r2: Float[Array, "..."], cutoff: float) -> Float[Array, "..."]:
    """exp(−x/(1 − x)) with x = r²/c²: 1 at the centre, 0 from the cutoff on, infinitely smooth up to e⁻⁹⁹."""
    x = r2 * (1 / cutoff**2)
    inside = x < VANISHED
    held = jnp.where(inside, x, 0.0)
    return jnp.where(inside, jnp.exp(-held / (1 - held)), 0.0)


def radial(r2: Float[Array, "..."], cutoff: float, count: int) -> Float[Array, "... radial"]:
    """Gaussians exp(−r²/w²) under the envelope, of widths w from a 32nd of the cutoff to half of it.

    Parameters
    ----------
    r2
        Squared distances in bohr².
    cutoff
        Where all of them vanish, in bohr.
    count
        How many; their widths form a geometric series.
    """
    widths = cutoff * np.geomspace(1 / 32, 1 / 2, count)
    exponents = jnp.asarray(1 / widths**2, r2.dtype)
    return jnp.exp(-r2[..., None] * exponents) * envelope(r2, cutoff)[..., None]


def harmonics(vectors: Float[Array, "... 3"], cutoff: float, degree: int) -> Float[Array, "... component"]:
    """Real solid harmonics of r/c up to a degree, (1, x/c, y/c, z/c, …)."""
    scaled = vectors * (1 / cutoff)
    return e3x.so3.solid_harmonics(scaled, degree, cartesian_order=True).astype(vectors.dtype)


def basis(
    vectors: Float[Array, "... 3"], cutoff: float, count: int, degree: int
) -> Float[Array, "... 1 component radial"]:
    """R_k(r) · solid harmonics of vectors, in e3x's shape and the vectors' dtype.

    >>> basis(jnp.zeros((5, 3)), 10.0, 8, 1).shape
    (5, 1, 4, 8)
    """
    r2 = jnp.sum(vectors * vectors, axis=-1)
    components = harmonics(vectors, cutoff, degree)
    return (components[..., :, None] * radial(r2, cutoff, count)[..., None, :])[..., None, :, :]
