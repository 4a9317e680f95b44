"""Settings: what they refuse and how, and their way to text and back."""

import json
import tomllib
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jqc.errors import TrainingError
from jqc.training import TrainingSettings

NAMES = [field.name for field in fields(TrainingSettings)]
RATES = st.floats(1e-8, 1e3)

settings = st.builds(
    TrainingSettings,
    steps=st.integers(1001, 2**31 - 1),
    batch_size=st.integers(1, 4096),
    optimizer=st.sampled_from(["adam", "soap"]),
    learning_rate=RATES,
    schedule=st.sampled_from(["constant", "cosine", "exponential"]),
    warmup=st.integers(0, 1000),
    decay=st.floats(1e-6, 1.0),
    weight_decay=st.just(0) | RATES,
    clip=st.just(0) | RATES,
    ema=st.floats(0.0, 0.9999),
    patience=st.integers(0, 10),
    seconds=st.none() | RATES,
    seed=st.integers(0, 2**31 - 1),
)


@given(settings)
def test_settings_survive_json_and_toml(given_):
    values = given_.to_dict()
    toml = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    assert TrainingSettings.from_dict(json.loads(json.dumps(values))) == given_
    assert TrainingSettings.from_dict(tomllib.loads(toml)) == given_


WRONG = st.one_of(
    st.integers(max_value=-1),
    st.floats(max_value=-1e-9),
    st.sampled_from([float("nan"), float("inf"), True, "many", "", b"1", (), [1], {}, 2**80 + 0.5j]),
)


@given(st.sampled_from(NAMES), WRONG)
def test_wrong_values_are_refused_by_name(name, value):
    with pytest.raises(TrainingError, match=rf"^{name} is .*; give .*\.$"):
        TrainingSettings(**{name: value})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps is 0; give an int from 1 to 2147483647"),
        ({"steps": 10.0}, "steps is 10.0; give an int"),
        ({"steps": 2**31}, "steps is 2147483648; give an int from"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give a positive number"),
        ({"decay": 1.5}, "decay is 1.5; give a number above 0 and at most 1"),
        ({"ema": 1.0}, "ema is 1.0; give a number of at least 0 and below 1"),
        ({"schedule": "step"}, "schedule is 'step'; give constant, cosine or exponential"),
        ({"seconds": 0}, "seconds is 0; give a positive number, or leave it out"),
        ({"steps": 10, "warmup": 10}, "warmup is 10 of 10 steps; give fewer"),
        ({"learn_rate": 1e-3}, "the training has no 'learn_rate'; did you mean learning_rate"),
    ],
)
def test_messages_name_the_field_and_the_fix(values, message):
    with pytest.raises(TrainingError, match=message):
        TrainingSettings.from_dict(values)
