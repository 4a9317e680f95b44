"""Size classes: few, monotone, and never wasteful."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jqc.system.padding import pad_axis, size_class

LENGTHS = st.integers(0, 10**7)


@given(LENGTHS)
@settings(deadline=None)
def test_class_holds_the_length_and_wastes_at_most_an_eighth(length):
    assert length <= size_class(length) <= max(length * 9 / 8, length)


@given(LENGTHS)
@settings(deadline=None)
def test_class_of_a_class_is_itself(length):
    assert size_class(size_class(length)) == size_class(length)


@given(LENGTHS, LENGTHS)
@settings(deadline=None)
def test_classes_are_ordered_like_lengths(a, b):
    assert (a <= b) <= (size_class(a) <= size_class(b))


def test_eight_classes_an_octave():
    classes = {size_class(length) for length in range(1024, 2048)}
    assert len(classes - {2048}) == 8


@pytest.mark.parametrize("length", range(8))
def test_short_lengths_are_kept(length):
    assert size_class(length) == length


@given(st.integers(0, 2), st.integers(0, 5), st.floats(-2, 2))
@settings(max_examples=30, deadline=None)
def test_pad_axis_appends(axis, more, value):
    array = np.arange(24.0).reshape(2, 3, 4)
    padded = pad_axis(array, array.shape[axis] + more, axis, value)
    kept, added = np.split(padded, [array.shape[axis]], axis=axis)
    np.testing.assert_array_equal(kept, array)
    assert added.shape[axis] == more
    assert (added == value).all()


def test_pad_axis_keeps_the_type():
    assert pad_axis(np.zeros(3, np.int32), 5).dtype == np.int32
    assert pad_axis(np.zeros(3, np.float32), 5).dtype == np.float32


def test_pad_axis_does_not_cut():
    with pytest.raises(ValueError, match="negative"):
        pad_axis(np.zeros(5), 3)
