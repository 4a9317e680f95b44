"""Mean squared displacement and diffusion.

    MSD(t) = ⟨|r(t₀ + t) − r(t₀)|²⟩ over atoms and origins t₀,     D = lim MSD(t) / 6t

Sums over all origins are two of Fourier transforms' length (Calandrini et al., Collection SFN 12, 201 (2011),
doi:10.1051/sfn/201112010).
"""

from dataclasses import dataclass

import numpy as np

from jqc.errors import InputError
from jqc.typing import Float


def msd(positions: Float[np.ndarray, "frame atom 3"]) -> Float[np.ndarray, "frame"]:
    """Mean squared displacement for each number of frames between; of positions that are not wrapped into a cell."""
    r = np.asarray(positions, dtype=float)
    frames = r.shape[0]
    r = r - r.mean(axis=0)
    squares = np.sum(r**2, axis=2)
    spectrum = np.fft.rfft(r, 2 * frames, axis=0)
    products = np.fft.irfft(np.sum(np.abs(spectrum) ** 2, axis=2), axis=0)[:frames]
    ahead = np.concatenate([np.zeros((1, r.shape[1])), np.cumsum(squares, axis=0)])
    origins = np.arange(frames, 0, -1)
    both = ahead[origins] + ahead[-1] - ahead[frames - origins]
    return np.maximum((both - 2 * products).mean(axis=1) / origins, 0.0)


@dataclass(frozen=True)
class Diffusivity:
    """D, and its standard error from blocks of the trajectory."""

    value: float
    error: float


def diffusivity(
    positions: Float[np.ndarray, "frame atom 3"],
    time_step: float,
    fit: tuple[float, float] = (0.1, 0.5),
    blocks: int = 5,
) -> Diffusivity:
    """Slope of MSD(t)/6 between two fractions of the blocks' length, mean and error over blocks.

    Raises:
        InputError: too few frames for so many blocks.
    """
    length = positions.shape[0] // blocks
    first, last = (int(fraction * length) for fraction in fit)
    if last - first < 3:
        raise InputError(
            f"{positions.shape[0]} frames in {blocks} blocks leave {last - first} to fit; give more or fewer blocks."
        )
    times = time_step * np.arange(first, last)
    pieces = (positions[k * length : (k + 1) * length] for k in range(blocks))
    slopes = np.array([np.polyfit(times, msd(piece)[first:last], 1)[0] / 6 for piece in pieces])
    return Diffusivity(float(slopes.mean()), float(slopes.std(ddof=1) / np.sqrt(blocks)))
