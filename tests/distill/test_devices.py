"""DI-Loss with its examples shared out: the same run on two devices and on one."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

from jqc.devices import mesh
from jqc.distill.config import LOSSES
from jqc.distill.example import make_example, stack
from jqc.distill.labels import LabelSettings, label
from jqc.system import Molecule
from jqc.training import TrainingSettings, fit
from jqc.training.accumulate import one_by_one
from jqc.xc import functional
from jqc.xc.neural.architectures import create

TEACHER = "0.2*hf + 0.8*slater + vwn5"


def example(distance):
    molecule = Molecule.from_arrays(["H", "H"], [[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
    made = label(molecule, "hydrogen", LabelSettings(TEACHER, "6-31g", grid_level=0, derivatives=2))
    return make_example({name: array for name, (array, _) in made.items()}, molecule, "6-31g", grid_level=0)


teacher, loss = functional(TEACHER), LOSSES["e-rho-grad-hess"]
student = create("nn-mgga", jax.random.key(0), width=4, depth=1)
student = jax.tree.map(lambda leaf: leaf.astype(np.float64), student)
data = [stack([example(distance) for distance in (1.3, 1.4, 1.6)], np.float64)]
settings = TrainingSettings(steps=3, batch_size=3, log_every=1)


def run(devices):
    records, over = [], mesh(devices)
    spread = one_by_one(lambda student, each, key: loss(student, teacher, each, key), over)
    fitted = fit(spread, student, data, [], settings, mesh=over, progress=records.append)
    return [record["loss"] for record in records], jax.tree.leaves(fitted.parameters)


(losses, parameters), (others, theirs) = run(jax.devices()[:1]), run(jax.devices())
assert len(jax.devices()) == 2
assert all(leaf.dtype == np.float64 for leaf in parameters)
np.testing.assert_allclose(losses, others, rtol=0, atol=1e-10)
for one, other in zip(parameters, theirs, strict=True):
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
"""
"""Three molecules, so that one of four places is empty."""


@pytest.mark.slow
def test_di_loss_on_two_devices():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=os.environ | {"XLA_FLAGS": flags}, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
