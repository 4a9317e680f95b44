"""Checks of plain values: whatever is given, a value passes or the error names it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jqc.errors import InputError, TrainingError
from jqc.settings import POSITIVE, one_of, real, refuse_unknown, require, whole

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)


@given(ANYTHING)
def test_a_value_passes_or_is_named(value):
    good = {
        "count": (whole(1), type(value) is int and 1 <= value < 2**31),
        "length": (POSITIVE, type(value) in (int, float) and 0 < value < float("inf")),
        "share": (real(lambda x: 0 <= x <= 1, "a share"), type(value) in (int, float) and 0 <= value <= 1),
        "word": (one_of(("one", "two")), value in ("one", "two")),
    }
    for name, (check, expected) in good.items():
        if expected:
            require(name, value, check)
        else:
            with pytest.raises(InputError, match=f"^{name} is .*; give"):
                require(name, value, check)


def test_unknown_names():
    refuse_unknown(["steps"], ["steps", "dt"], "it")
    with pytest.raises(TrainingError, match="it has no 'stpes'; did you mean steps"):
        refuse_unknown(["dt", "stpes"], ["steps", "dt"], "it", TrainingError)
    with pytest.raises(InputError, match="it has no 'colour'; there are steps, dt"):
        refuse_unknown(["colour"], ["steps", "dt"], "it")
    with pytest.raises(InputError, match="it has no 'colour'; there are none"):
        refuse_unknown(["colour"], [], "it")
