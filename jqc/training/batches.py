"""Which examples meet in which step: a pure function of the sizes of the classes, the seed and the step.

Every batch comes from one size class and has that class's one shape: `batch_size` examples, or all where there are
fewer. An epoch is a permutation of each class, cut into batches, and the batches of all classes shuffled. A last batch
that would be short is filled from the beginning of the class's permutation. So no example is lost in an epoch, none
occurs twice in a batch, and the loss stays a plain mean that knows of no weights; in exchange fewer than `batch_size`
examples of a class count twice in an epoch, others in every epoch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jqc.errors import TrainingError
from jqc.typing import Int

Examples = Any
"""One size class: a pytree of numpy arrays with a leading `example` axis."""

Batch = Any
"""Some examples of one class, as arrays of the same pytree."""


def count(examples: Examples, name: str = "examples") -> int:
    """How many examples a class holds.

    Raises:
        TrainingError: no array, no example, or arrays of different lengths.

    >>> count({"x": np.zeros((5, 3)), "y": np.zeros(5)})
    5
    """
    lengths = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(examples)}
    if len(lengths) != 1 or 0 in lengths:
        raise TrainingError(
            f"{name} has leading axes of {sorted(lengths) or 'no array'}; give arrays with one row for each example."
        )
    return lengths.pop()


def take(examples: Examples, rows: Int[np.ndarray, " batch"]) -> Batch:
    """Rows of every array."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], examples)


def epoch_batches(
    sizes: Sequence[int], batch_size: int, seed: int, epoch: int
) -> list[tuple[int, Int[np.ndarray, " batch"]]]:
    """Class and rows of every batch of an epoch, in order.

    >>> [(which, len(rows)) for which, rows in epoch_batches([5, 1], 2, seed=0, epoch=0)]
    [(0, 2), (1, 1), (0, 2), (0, 2)]
    """
    random = np.random.default_rng([seed, epoch])
    batches = []
    for which, size in enumerate(sizes):
        length = min(batch_size, size)
        order = random.permutation(size)
        starts = range(0, size, length)
        batches += [(which, order[np.arange(start, start + length) % size]) for start in starts]
    return [batches[at] for at in random.permutation(len(batches))]


def epoch_length(sizes: Sequence[int], batch_size: int) -> int:
    """Batches of an epoch."""
    return sum(-(-size // batch_size) for size in sizes)


def training_batches(data: Sequence[Examples], batch_size: int, seed: int, step: int) -> Iterator[tuple[int, Batch]]:
    """Class and batch of `step` and of every step after it, without end."""
    sizes = [count(examples) for examples in data]
    epoch, done = divmod(step, epoch_length(sizes, batch_size))
    while True:
        for which, rows in epoch_batches(sizes, batch_size, seed, epoch)[done:]:
            yield which, take(data[which], rows)
        epoch, done = epoch + 1, 0


def validation_batches(data: Sequence[Examples], batch_size: int) -> Iterator[tuple[int, int, Batch]]:
    """Class, number of examples and batch, each example once: a class's last batch may be a shorter one."""
    for which, examples in enumerate(data):
        size = count(examples)
        for start in range(0, size, batch_size):
            rows = np.arange(start, min(start + batch_size, size))
            yield which, len(rows), take(examples, rows)
