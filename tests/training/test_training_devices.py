"""Runs on several devices of one process, virtual ones of the CPU, give what they give on one."""

from pathlib import Path

import numpy as np
import pytest
import regression
import spread

from jqc.training import fit
from jqc.training.accumulate import one_by_one

ROUNDING = 1e-10
"""Sums are made in another order, in forty steps."""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Path:
    """What the script has written; that gradients on devices are those of the mean is checked in there."""
    folder = tmp_path_factory.mktemp("devices") / "run"
    script = spread.started("devices", folder, devices=4)
    _, errors = script.communicate(timeout=300)
    assert script.returncode == 0, errors
    return folder


def compare(path: str, fitted) -> None:
    with np.load(path) as arrays:
        for name, parameter in fitted.parameters.items():
            np.testing.assert_allclose(arrays[name], parameter, rtol=0, atol=ROUNDING)
        losses = [record["loss"] for record in fitted.history]
        np.testing.assert_allclose(arrays["history"], losses, rtol=0, atol=ROUNDING)


@pytest.fixture(scope="module")
def on_one():
    """The run in this process, without any mesh."""
    data = regression.data()[:1], regression.validation()[:1]
    return fit(one_by_one(spread.loss), regression.parameters(), *data, regression.SHORT)


@pytest.mark.parametrize("devices", ["three", "four"])
def test_any_number_of_devices_gives_the_same(found, on_one, devices):
    """Batches of four do not divide by three, and the last ones of a validation, of two, by neither."""
    compare(f"{found}-{devices}.npz", on_one)


def test_a_loss_of_whole_batches_gives_the_same(found):
    compare(f"{found}-whole.npz", regression.run(None))


def test_a_run_goes_on_with_another_number_of_devices(found, on_one):
    again = spread.run(None, regression.SHORT, found)
    assert again.stopped == "steps"
    for name, parameter in on_one.parameters.items():
        np.testing.assert_allclose(again.parameters[name], parameter, rtol=0, atol=ROUNDING)
    assert [record["step"] for record in again.history] == [10, 20, 30, 40]
