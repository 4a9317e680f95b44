"""A small problem with two size classes; as a script it trains in the folder that is its argument."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jqc.training import Fitted, TrainingSettings, fit

SETTINGS = TrainingSettings(
    steps=120, batch_size=4, learning_rate=1e-2, warmup=5, log_every=7, validate_every=10, checkpoint_every=3, seed=3
)
"""Records, validations and checkpoints fall on different steps, and an epoch ends within any of them."""

SHORT = replace(SETTINGS, steps=40)


def examples(n: int, points: int, seed: int, dtype=np.float64) -> dict[str, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(n, points, 2))
    return {"x": x.astype(dtype), "y": np.sin(x).sum((1, 2)).astype(dtype)}


def data(dtype=np.float64) -> list[dict[str, np.ndarray]]:
    return [examples(10, 3, 0, dtype), examples(5, 4, 1, dtype)]


def validation(dtype=np.float64) -> list[dict[str, np.ndarray]]:
    return [examples(6, 3, 2, dtype), examples(2, 4, 3, dtype)]


def parameters(dtype=np.float64) -> dict[str, np.ndarray]:
    weights = np.random.default_rng(4).normal(size=(2, 8))
    return {"in": weights.astype(dtype), "out": (0.3 * weights[0]).astype(dtype)}


def loss(parameters, batch, key):
    """Squared error of a sum over points, inputs jittered by a little so that the key matters."""
    x = batch["x"] + 0.01 * jax.random.normal(key, batch["x"].shape, batch["x"].dtype)
    error = (jnp.tanh(x @ parameters["in"]) @ parameters["out"]).sum(1) - batch["y"]
    return jnp.mean(error**2), {"mae": jnp.mean(jnp.abs(error)), "bias": jnp.mean(error)}


def run(folder: Path, settings: TrainingSettings = SHORT, parameters_=None, data_=None, **options) -> Fitted:
    """A run in a folder, of these examples and parameters unless others are given."""
    return fit(loss, parameters_ or parameters(), data_ or data(), validation(), settings, folder, **options)


def interrupt_at(*steps: int) -> Callable[[dict], None]:
    """A run's `progress` that presses Ctrl-C when it sees the record of one of these steps."""

    def interrupt(record: dict) -> None:
        if record["step"] in steps:
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    fit(loss, parameters(), data(), validation(), SETTINGS, sys.argv[1])
