"""Occupation numbers: aufbau, or Fermi–Dirac at an electronic temperature."""

import jax
import jax.numpy as jnp

from jqc.typing import Array, Float, Int

ABSENT = 1e6
"""Energy in hartree given to orbitals that do not exist (padding, linear dependencies), so that they stay empty."""


FILLED = 1e-12
"""Occupations above this count as electrons."""


def aufbau(mo_energy: Float[Array, "spin mo"], electrons: Int[Array, "spin"]) -> Float[Array, "spin mo"]:
    """One electron in each of the lowest orbitals of a spin; orbitals come in order of energy."""
    return (jnp.arange(mo_energy.shape[-1]) < electrons[:, None]).astype(mo_energy.dtype)


def fermi(
    mo_energy: Float[Array, "spin mo"], electrons: Int[Array, "spin"], temperature: Float[Array, ""]
) -> Float[Array, "spin mo"]:
    """f_i = 1/(1 + exp((ε_i − μ_σ)/T)) with Σ_i f_i = N_σ; T in hartree (k_B T). μ by bisection."""

    def filling(mu):
        return jax.nn.sigmoid((mu[:, None] - mo_energy) / temperature)

    def halve(_, bounds):
        low, high = bounds
        middle = 0.5 * (low + high)
        enough = jnp.sum(filling(middle), axis=1) > electrons
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    reach = 40 * temperature + 1.0
    finite = jnp.where(mo_energy < ABSENT / 2, mo_energy, -ABSENT)
    bounds = jnp.min(mo_energy, axis=1) - reach, jnp.max(finite, axis=1) + reach
    low, high = jax.lax.fori_loop(0, 80, halve, bounds)
    return filling(0.5 * (low + high))


def entropy(occupations: Float[Array, "spin mo"]) -> Float[Array, ""]:
    """−Σ_iσ [f ln f + (1 − f) ln(1 − f)], in units of k_B."""
    return -jnp.sum(jax.scipy.special.xlogy(occupations, occupations)) - jnp.sum(
        jax.scipy.special.xlogy(1 - occupations, 1 - occupations)
    )
