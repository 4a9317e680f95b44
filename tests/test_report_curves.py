"""Learning curves: every record is drawn where it belongs, and what no logarithm has is left out."""

import numpy as np
import pytest

from jqc.errors import InputError
from jqc.report import learning_curves, rendered


def training(step, loss, **terms):
    return {"kind": "training", "step": step, "loss": loss, "terms": terms}


def validation(step, loss, **terms):
    return training(step, loss, **terms) | {"kind": "validation"}


RECORDS = [
    training(10, 4.0, energy=3.0, bias=-1.0),
    training(20, None, energy=None, bias=0.0),
    validation(20, 3.0, energy=2.0, bias=1.0),
    training(30, 1.0, energy=0.5, bias=0.5),
    validation(30, 2.0, energy=1.0, bias=-1.0),
    validation(40, None, energy=None, bias=1.0),
]


def drawn(axis) -> list[tuple[list[float], list[float]]]:
    return [(np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()) for line in axis.lines]


def test_lines_are_those_of_the_records():
    figure = learning_curves(RECORDS, "a run")
    loss, terms = figure.axes
    np.testing.assert_array_equal(drawn(loss)[0], ([10, 20, 30], [4.0, np.nan, 1.0]))
    np.testing.assert_array_equal(drawn(loss)[1], ([20, 30, 40], [3.0, 2.0, np.nan]))
    assert drawn(loss)[2] == ([30], [2.0])
    np.testing.assert_array_equal(drawn(terms)[2], ([10, 20, 30], [1.0, np.nan, 0.5]))
    assert {axis.get_yscale() for axis in figure.axes} == {"log"}
    assert [text.get_text() for text in terms.get_legend().get_texts()] == ["energy", "bias"]
    assert rendered(figure, "png").startswith(b"\x89PNG")


def test_a_loss_without_terms_or_validation_is_one_panel():
    (axis,) = learning_curves([training(1, 2.0)]).axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["loss"]
    assert axis.get_ylabel() == "loss"


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="no training record to draw"):
        learning_curves([validation(20, 3.0)])
