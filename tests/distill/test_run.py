"""Runs: what they learn from and validate on, and what they leave in their folder."""

import hashlib

import numpy as np
import pytest

from jqc.data.store import open_store
from jqc.distill.config import LOSSES, DistillConfig
from jqc.distill.dataset import split_by_formula
from jqc.distill.labels import label
from jqc.distill.losses import SCFLoss
from jqc.distill.run import datasets, distil
from jqc.errors import StoreError
from jqc.training import TrainingSettings


@pytest.fixture(scope="module")
def store(tmp_path_factory, water, settings):
    """A folder with the one label of water."""
    folder = tmp_path_factory.mktemp("labels")
    arrays = label(water, "water", settings)
    open_store(folder, settings.as_dict()).write("water", arrays, {"charge": 0, "spin": 0})
    return folder


@pytest.mark.parametrize("name", LOSSES)
def test_a_run_loads_integrals_if_its_loss_asks_for_them(name, store):
    for data in datasets(DistillConfig(store, store, loss=LOSSES[name])):
        (examples,) = data.classes
        assert examples.tangents.dtype == np.float32
        if name == "scf":
            assert examples.integrals.repulsion[0.0].dtype == np.float64
        else:
            assert examples.integrals is None


@pytest.mark.slow
def test_a_run_with_the_scf_loss(store, tmp_path):
    config = DistillConfig(
        store, store, options={"width": 4, "depth": 1}, loss=SCFLoss(), training=TrainingSettings(steps=2), grid_level=0
    )
    done = distil(config, tmp_path / "run")
    assert int(done.fitted.state.skipped) == 0
    assert done.fitted.history[-1]["terms"]["unsolved"] == 0


def test_more_labels_do_not_move_those_that_are_there(tmp_path):
    """Formulas of one element each; only what molecules are made of is read."""
    store, share, held = open_store(tmp_path, {}), 0.3, set()
    shares = {f"x{z:03d}": int(hashlib.sha256(bytes([z])).hexdigest(), 16) / 2**256 for z in range(1, 60)}
    for z, name in enumerate(shares, 1):
        arrays = {"numbers": (np.array([z]), "1"), "coords": (np.zeros((1, 3)), "bohr")}
        store.write(name, arrays, {"charge": z, "spin": 0})
        if z == 1:
            with pytest.raises(StoreError, match="one formula"):
                split_by_formula(tmp_path, share)
            continue
        kept, held_back = split_by_formula(tmp_path, share)
        assert sorted(kept + held_back) == store.names()
        assert kept
        assert held_back
        if z > 9:
            assert {*held_back} == {each for each in store.names() if shares[each] < share}
            assert held <= {*held_back}
            held = {*held_back}
