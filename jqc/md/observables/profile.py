"""Free energies along a variable: F(s) = −kT ln p(s), from frames, weighted or not, with errors from blocks."""

from dataclasses import dataclass

import numpy as np

from jqc.errors import InputError
from jqc.typing import Float


@dataclass(frozen=True)
class Profile:
    """Centres of bins, free energies above the lowest (infinite where nothing was seen), and their standard errors."""

    centres: Float[np.ndarray, "bin"]
    energies: Float[np.ndarray, "bin"]
    errors: Float[np.ndarray, "bin"]


def free_energy(
    values: Float[np.ndarray, "frame"],
    temperature: float,
    edges: Float[np.ndarray, "edge"],
    weights: Float[np.ndarray, "frame"] | None = None,
    blocks: int = 5,
) -> Profile:
    """Free energy of a variable's values in bins; errors from the scatter of blocks of frames.

    Raises:
        InputError: fewer frames than two a block, or no value within the edges.
    """
    values, edges = np.asarray(values, float), np.asarray(edges, float)
    w = np.ones_like(values) if weights is None else np.asarray(weights, float)
    if len(values) < 2 * blocks or not ((values >= edges[0]) & (values <= edges[-1])).any():
        raise InputError(
            f"{len(values)} values in {blocks} blocks between {edges[0]:.4g} and {edges[-1]:.4g} make no profile; give "
            "more values, fewer blocks, or wider bins."
        )
    cuts = np.array_split(np.arange(len(values)), blocks)
    counts = np.stack([np.histogram(values[cut], edges, weights=w[cut])[0] / w[cut].sum() for cut in cuts])
    mean = counts.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        energies = -temperature * np.log(mean / np.diff(edges))
        errors = temperature * counts.std(axis=0, ddof=1) / np.sqrt(blocks) / mean
    return Profile(0.5 * (edges[1:] + edges[:-1]), energies - energies.min(), errors)
