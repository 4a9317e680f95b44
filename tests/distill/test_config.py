"""Configurations: there and back, and what they refuse and how."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jqc.distill.config import LOSSES, DistillConfig, from_dict, read_content, with_changes
from jqc.distill.losses import CommutatorLoss, DILoss, SCFLoss
from jqc.errors import InputError
from jqc.training import TrainingSettings

WEIGHTS = {name: sorted(vars(loss)) for name, loss in LOSSES.items()}
NUMBERS = st.floats(0.0, 1e6)

WRONG_WEIGHTS = st.one_of(
    st.floats(max_value=-1e-9),
    st.integers(max_value=-1),
    st.sampled_from([float("nan"), float("inf"), "much", "", None, [1.0], {}, 10**400]),
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(LOSSES)), st.data())
def test_configurations_survive_json(name, data):
    numbers = [each for each in WEIGHTS[name] if type(getattr(LOSSES[name], each)) is float]
    weights = {each: data.draw(NUMBERS, each) for each in numbers}
    weights["energy"] = 1.0
    config = from_dict({"data": "labels", "loss": {"name": name, **weights}, "training": {"steps": 7}})
    assert type(config.loss) is type(LOSSES[name])
    assert from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.training == TrainingSettings(steps=7)


@pytest.mark.parametrize("name", LOSSES)
def test_named_losses_keep_their_names(name):
    config = from_dict({"data": "labels", "loss": {"name": name}})
    assert config.loss == LOSSES[name]
    assert config.to_dict()["loss"]["name"] == name


@pytest.mark.parametrize("weight", [1e-3, 1.0, 7.0])
def test_a_loss_is_named_by_its_terms_whatever_they_weigh(weight):
    config = from_dict({"data": "labels", "loss": {"name": "e-rho-grad-hess", "hessian": weight}})
    assert config.to_dict()["loss"]["name"] == "e-rho-grad-hess"


def test_a_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('data = "labels"\nmodel = "eg-xc"\n[loss]\nname = "scf"\ndensity = 3\n')
    expected = DistillConfig(Path("labels"), model="eg-xc", loss=SCFLoss(density=3))
    assert from_dict(read_content(file)) == expected


@given(st.binary(max_size=40))
def test_files_that_are_no_toml(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("toml") / "run.toml"
    file.write_bytes(content)
    try:
        assert isinstance(read_content(file), dict)
    except InputError as error:
        assert str(file) in str(error)  # noqa: PT017 - most content is refused, some is an empty file


@given(ANYTHING)
def test_no_value_of_any_key_is_met_by_another_error(value):
    for key in ("data", "validation", "model", "options", "loss", "training", "grid_level"):
        try:
            from_dict(with_changes({"data": "labels"} | {key: value}, {}, None, {"steps": 3}))
        except InputError as error:
            assert str(error)  # noqa: PT017 - some values are good


@given(st.sampled_from([(name, each) for name in LOSSES for each in WEIGHTS[name]]), WRONG_WEIGHTS)
def test_wrong_weights_are_refused_by_name(which, value):
    name, weight = which
    with pytest.raises(InputError, match=f"{weight} is"):
        from_dict({"data": "labels", "loss": {"name": name, weight: value}})


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"name": "scf", "gradient": 1.0}, "the loss scf has no 'gradient'"),
        ({"name": "commutator", "comutator": 1.0}, "did you mean commutator"),
        ({"hessain": 1.0}, "did you mean hessian"),
        ({"name": "sfc"}, "'sfc' is no loss; choose e-rho, .*perturbative"),
        ({"name": ["scf"]}, "is no loss"),
        ({"tangents": 0}, "tangents is 0; give a whole number from 1 to 2147483647"),
        ({"tangents": 1.5}, "tangents is 1.5"),
        ({"triplets": 1}, "triplets is 1; give true or false"),
        ({"energy": True}, "energy is True"),
        ("scf", "loss is 'scf'; give a table"),
    ],
)
def test_losses_that_are_refused(loss, message):
    with pytest.raises(InputError, match=message):
        from_dict({"data": "labels", "loss": loss})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "data is missing"),
        ({"data": "labels", "los": {}}, "did you mean loss"),
        ({"data": 3}, "data is 3; give the path of a folder"),
        ({"data": "labels", "grid_level": True}, "grid_level is True"),
        ({"data": "labels", "grid_level": 77}, "grid level 77 does not exist"),
        ({"data": "labels", "model": "xcdif"}, "nearest are xcdiff"),
        ({"data": "labels", "options": {"widht": 4}}, "nearest are width"),
        ({"data": "labels", "training": {"step": 3}}, "the training has no 'step'; did you mean steps"),
    ],
)
def test_configurations_that_are_refused(content, message):
    with pytest.raises(InputError, match=message):
        from_dict(content)


def test_flags_change_what_they_name_and_leave_the_rest():
    content = {"data": "labels", "loss": {"name": "e-rho-grad", "gradient": 3.0}, "training": {"steps": 5}}
    same = from_dict(with_changes(content, {"data": None, "model": "eg-xc"}, "e-rho-grad", {"seed": 2, "steps": None}))
    assert (same.data, same.model, same.loss.gradient) == (Path("labels"), "eg-xc", 3.0)
    assert same.training == TrainingSettings(steps=5, seed=2)
    other = from_dict(with_changes(content, {}, "e-rho-grad-hess", {}))
    assert other.loss == DILoss()
    assert (
        from_dict(with_changes({"data": "labels", "loss": {"hessian": 2.0}}, {}, "e-rho-grad-hess", {})).loss.hessian
        == 2
    )


def test_some_weight_is_above_zero():
    for loss in (DILoss, CommutatorLoss):
        terms = {name: 0.0 for name in ("energy", "density", "gradient", "hessian", "commutator")}
        with pytest.raises(InputError, match="all zero"):
            loss(**{name: value for name, value in terms.items() if name in vars(loss())})
