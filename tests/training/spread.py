"""The small problem of `regression`, example by example, on many devices; as a script in processes of their own.

    spread.py devices FOLDER                                         # on four devices, which XLA_FLAGS has to make
    spread.py member FOLDER STEPS COORDINATOR PROCESSES PROCESS_ID   # in a group

What was found is written to FOLDER-NAME.npz.
"""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import regression

from jqc.devices import divided, mesh
from jqc.group import Membership, member
from jqc.training import Fitted, TrainingSettings, fit
from jqc.training.accumulate import one_by_one

PATIENCE = 60.0
"""Seconds; a group that does not meet fails its test."""


def loss(parameters, example, key):
    """Of one example: that of a batch of one."""
    return regression.loss(parameters, jax.tree.map(lambda leaf: leaf[None], example), key)


def run(devices: list, settings: TrainingSettings, folder: Path | None = None, **options) -> Fitted:
    """Train on a mesh of devices; batches have four examples, at the end of a validation two."""
    over = mesh(devices)
    data = regression.data()[:1], regression.validation()[:1]
    return fit(one_by_one(loss, over), regression.parameters(), *data, settings, folder, mesh=over, **options)


def write(path: str, fitted: Fitted) -> None:
    """What a test compares."""
    history = [record["loss"] for record in fitted.history]
    np.savez(path, history=history, stopped=fitted.stopped, step=fitted.state.step, **fitted.parameters)


def on_devices(folder: str) -> None:
    """Gradients on four devices, runs on three and on four, and one that stops on four."""
    from test_accumulate import KEY, close, numbers, plain_mean
    from test_accumulate import loss as of_one

    mean = one_by_one(of_one, mesh())
    for size in (1, 4, 6):
        parameters, batch = numbers(jnp.float64, size)
        found = jax.jit(jax.value_and_grad(mean, has_aux=True))(parameters, divided(batch, mesh()), KEY)
        close(found, jax.jit(jax.value_and_grad(plain_mean, has_aux=True))(parameters, batch, KEY), jnp.float64)
    write(f"{folder}-three.npz", run(jax.devices()[:3], regression.SHORT))
    write(f"{folder}-four.npz", run(jax.devices(), regression.SHORT))
    write(f"{folder}-whole.npz", regression.run(None, mesh=mesh()))
    run(jax.devices(), regression.SHORT, Path(folder), progress=regression.interrupt_at(14))


def in_group(folder: str, steps: str, coordinator: str, processes: str, process_id: str) -> None:
    """A run that every process of a group takes part in."""
    with member(Membership(coordinator, int(processes), int(process_id)), PATIENCE):
        fitted = run(jax.devices(), replace(regression.SETTINGS, steps=int(steps)), Path(folder))
        write(f"{folder}-{process_id}.npz", fitted)


def started(*arguments: object, devices: int = 1) -> subprocess.Popen:
    """This script with arguments, on virtual devices of a CPU."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"XLA_FLAGS": flags}, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    {"devices": on_devices, "member": in_group}[sys.argv[1]](*sys.argv[2:])
