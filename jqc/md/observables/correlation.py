"""Correlation functions and power spectra of series in time.

    S(ω) = (1/π) ∫₋∞^∞ C(t) w(t) cos(ωt) dt,   C(t) = ⟨a(0)·a(t)⟩,     ∫₀^∞ S dω = C(0)

with a window w that is one at t = 0, so that the area is kept (Wiener and Khinchin).
"""

import jax.numpy as jnp

from jqc.errors import InputError
from jqc.typing import Array, Float


def autocorrelation(series: Float[Array, "frame *parts"], length: int | None = None) -> Float[Array, "lag"]:
    """⟨a(0)·a(t)⟩, summed over the parts, averaged over all origins, for the first `length` lags (half of them)."""
    frames = series.shape[0]
    length = frames // 2 if length is None else length
    if not 0 < length <= frames:
        raise InputError(f"{length} lags of {frames} frames cannot be had; ask for 1 to {frames}.")
    flat = series.reshape(frames, -1)
    spectrum = jnp.abs(jnp.fft.rfft(flat, 2 * frames, axis=0)) ** 2
    products = jnp.fft.irfft(jnp.sum(spectrum, axis=1))[:length]
    return products / (frames - jnp.arange(length))


def hann(length: int) -> Float[Array, "lag"]:
    """cos²(πt/2T): one at the first lag, zero behind the last."""
    return jnp.cos(0.5 * jnp.pi * jnp.arange(length) / length) ** 2


def power_spectrum(
    correlation: Float[Array, "lag"], time_step: float, padding: int = 4
) -> tuple[Float[Array, "frequency"], Float[Array, "frequency"]]:
    """Angular frequencies and S(ω), of area C(0) over positive ones, Hann-windowed, zeros appended `padding` times.

    The area is a sum over bins of width dω, the first and last of which count by half.
    """
    length = correlation.shape[0]
    total = padding * 2 * length
    windowed = correlation * hann(length)
    even = jnp.zeros(total).at[:length].set(windowed).at[-length + 1 :].set(windowed[1:][::-1])
    density = jnp.fft.rfft(even).real * time_step / jnp.pi
    return 2 * jnp.pi * jnp.fft.rfftfreq(total, time_step), density
