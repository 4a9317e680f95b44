"""Size classes: the array lengths that programs are compiled for.

A program is keyed on the shapes of its arguments, so lengths are rounded up to few values and the rest is
padding. Eight classes an octave (8, 9, …, 15 times a power of two) waste 6 % on average and 12.5 % at most.
"""

import numpy as np


def size_class(length: int) -> int:
    """Smallest class that holds `length`: m·2ᵏ with 8 ≤ m < 16 (or `length` itself below 8).

    >>> [size_class(n) for n in (0, 5, 24, 25, 72, 222, 1127)]
    [0, 5, 24, 26, 72, 224, 1152]
    """
    step = 1 << max(0, int(length).bit_length() - 4)
    return -(-length // step) * step


def pad_axis(array: np.ndarray, length: int, axis: int = 0, value: float = 0) -> np.ndarray:
    """Append `value` along one axis up to `length`."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - array.shape[axis])
    return np.pad(array, widths, constant_values=value)
