"""Where a run stands: the state of the steps, the best parameters so far, and whether it is done."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import jax
import numpy as np

from jqc.training.settings import TrainingSettings
from jqc.training.step import Parameters, TrainState

Reason = Literal["steps", "seconds", "early", "interrupted"]
"""Why a run stopped: all steps done, time used up, no better validation for long, or a signal."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Run:
    """All that a checkpoint holds.

    `best` is the average of the parameters at the validation with the lowest loss, `best_loss` (numpy arrays);
    `stale` counts validations since; `seconds` is time in training steps.
    """

    state: TrainState
    best: Parameters
    best_loss: float
    stale: int
    seconds: float


def begin(state: TrainState) -> Run:
    """A run before its first step."""
    return Run(state, best=on_host(state.average), best_loss=math.inf, stale=0, seconds=0.0)


def plain(run: Run) -> Run:
    """A run whose numbers have been kept as arrays."""
    return replace(run, best_loss=float(run.best_loss), stale=int(run.stale), seconds=float(run.seconds))


def on_host(parameters: Parameters) -> Parameters:
    """Copies that outlive the buffers of a donated state."""
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), parameters)


def judge(run: Run, loss: float) -> Run:
    """The run after a validation of the averaged parameters; a loss that is not finite is no improvement."""
    if loss < run.best_loss:
        return replace(run, best=on_host(run.state.average), best_loss=loss, stale=0)
    return replace(run, stale=run.stale + 1)


def best_parameters(run: Run) -> Parameters:
    """The best by validation, or the last average where none was finite."""
    best = run.best if math.isfinite(run.best_loss) else run.state.average
    return jax.tree.map(lambda leaf: jax.numpy.array(leaf, copy=True), best)


def why_done(run: Run, settings: TrainingSettings) -> Reason | None:
    """Why there is nothing left to do, if so."""
    if int(run.state.step) >= settings.steps:
        return "steps"
    if settings.patience and run.stale >= settings.patience:
        return "early"
    if settings.seconds is not None and run.seconds >= settings.seconds:
        return "seconds"
    return None
