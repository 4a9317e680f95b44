"""The small problem of `regression`, example by example, on all devices; as a script in a group of processes.

    spread.py FOLDER STEPS [COORDINATOR PROCESSES PROCESS_ID]

Every process writes what it has found to FOLDER-PROCESS_ID.npz.
"""

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import regression

from jqc.devices import mesh
from jqc.group import Membership, member
from jqc.training import Fitted, TrainingSettings, fit
from jqc.training.accumulate import one_by_one


PATIENCE = 30.0
"""Seconds; a group that does not meet fails its test."""


def loss(parameters, example, key):
    """Of one example, of the regression's whole batch of one."""
    return regression.loss(parameters, jax.tree.map(lambda leaf: leaf[None], example), key)


def run(devices, settings: TrainingSettings, folder: Path | None = None, **options) -> Fitted:
    """Train on a mesh of devices; batches of four, of which there are fewer in the second class at the end."""
    over = mesh(devices)
    return fit(
        one_by_one(loss, over),
        regression.parameters(),
        regression.data(),
        regression.validation(),
        settings,
        folder,
        mesh=over,
        **options,
    )


def main(folder: str, steps: str) -> None:
    fitted = run(jax.devices(), replace(regression.SETTINGS, steps=int(steps)), Path(folder))
    history = [record["loss"] for record in fitted.history]
    np.savez(f"{folder}-{jax.process_index()}.npz", history=history, stopped=fitted.stopped, **fitted.parameters)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    place = sys.argv[3:]
    with member(Membership(place[0], int(place[1]), int(place[2])), PATIENCE) if place else nullcontext():
        main(*sys.argv[1:3])
