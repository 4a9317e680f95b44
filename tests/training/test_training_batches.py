"""The order of examples: nothing lost, one shape a class, and a function of seed and step alone."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jqc.errors import TrainingError
from jqc.training.batches import count, epoch_batches, epoch_length, take, training_batches, validation_batches

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=4)
batch_sizes = st.integers(1, 12)
seeds = st.integers(0, 2**31 - 1)


def labelled(sizes: list[int]) -> list[dict[str, np.ndarray]]:
    """Examples that carry their class and number."""
    return [{"class": np.full(size, which), "number": np.arange(size)} for which, size in enumerate(sizes)]


@given(sizes, batch_sizes, seeds, st.integers(0, 1000))
def test_an_epoch_holds_every_example_in_batches_of_one_shape(sizes, batch_size, seed, epoch):
    batches = epoch_batches(sizes, batch_size, seed, epoch)
    assert len(batches) == epoch_length(sizes, batch_size)
    for which, size in enumerate(sizes):
        own = [rows for at, rows in batches if at == which]
        assert {len(rows) for rows in own} == {min(batch_size, size)}
        assert all(len(set(rows)) == len(rows) for rows in own)
        times = np.bincount(np.concatenate(own), minlength=size)
        assert len(times) == size
        assert set(times) <= {1, 2}
        assert np.sum(times == 2) < batch_size


@given(sizes, batch_sizes, seeds, st.integers(0, 60))
def test_the_stream_can_be_entered_at_any_step(sizes, batch_size, seed, step):
    def seen(start: int, stop: int) -> list:
        stream = islice(training_batches(labelled(sizes), batch_size, seed, start), stop - start)
        return [(which, batch["class"].tolist(), batch["number"].tolist()) for which, batch in stream]

    assert seen(0, step + 20)[step:] == seen(step, step + 20)


@given(sizes, batch_sizes)
def test_validation_sees_every_example_once(sizes, batch_size):
    batches = list(validation_batches(labelled(sizes), batch_size))
    seen = [
        (which, int(number)) for which, n, batch in batches for number in batch["number"] if n == len(batch["class"])
    ]
    assert seen == [(which, number) for which, size in enumerate(sizes) for number in range(size)]


def test_epochs_and_seeds_differ_and_classes_mix():
    def order(seed: int, epoch: int) -> list:
        return [(which, rows.tolist()) for which, rows in epoch_batches([40, 40], 4, seed, epoch)]

    assert order(0, 0) != order(0, 1) != order(1, 0) != order(0, 0)
    classes = [which for which, _ in order(0, 0)]
    assert classes not in (sorted(classes), sorted(classes, reverse=True))


def test_rows_of_every_array_stay_together():
    batch = take({"a": np.arange(5), "b": {"c": 10 * np.arange(5)[:, None]}}, np.array([3, 1]))
    assert batch["a"].tolist() == [3, 1]
    assert batch["b"]["c"].tolist() == [[30], [10]]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({}, "no array"),
        ({"x": np.zeros((0, 3))}, r"\[0\]"),
        ({"x": np.zeros(3), "y": np.zeros(4)}, r"\[3, 4\]"),
        ({"x": np.zeros(3), "y": 1.0}, r"\[0, 3\]"),
    ],
)
def test_what_has_no_examples_is_refused(examples, message):
    with pytest.raises(TrainingError, match=rf"^data has leading axes of .*{message}.*; give arrays"):
        count(examples, "data")
