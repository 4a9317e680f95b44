"""Means of correlated series and their errors: blocks that are longer than the correlation.

The error of a mean from B blocks is the standard deviation of block means over √B; with blocks that grow it rises to a
plateau (Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480).
"""

from dataclasses import dataclass

import numpy as np

from jqc.errors import InputError
from jqc.typing import Float


@dataclass(frozen=True)
class Mean:
    """A mean, its standard error, and in how many steps of the series it forgets itself."""

    value: float
    error: float
    correlation: float


def block_errors(series: Float[np.ndarray, "frame"]) -> Float[np.ndarray, "level 3"]:
    """Length of blocks, error of the mean from them, and that error's own; blocks are doubled until two are left."""
    rows, values, length = [], np.asarray(series, dtype=float), 1
    while values.size >= 2:
        error = values.std(ddof=1) / np.sqrt(values.size)
        rows.append((length, error, error / np.sqrt(2 * (values.size - 1))))
        values = values[: values.size // 2 * 2].reshape(-1, 2).mean(axis=1)
        length *= 2
    return np.array(rows)


def mean(series: Float[np.ndarray, "frame"]) -> Mean:
    """Mean of a series with the error at the plateau: of the first blocks whose error the next ones do not exceed.

    Raises:
        InputError: fewer than four numbers.
    """
    values = np.asarray(series, dtype=float)
    if values.size < 4:
        raise InputError(f"{values.size} numbers have no error of their mean; give at least 4.")
    levels = block_errors(values)
    level = next(
        (k for k in range(len(levels) - 1) if levels[k + 1, 1] <= levels[k, 1] + levels[k, 2]), len(levels) - 1
    )
    naive, error = levels[0, 1], levels[level, 1]
    correlation = 0.5 * ((error / naive) ** 2) if naive else 0.5
    return Mean(float(values.mean()), float(error), float(correlation))
