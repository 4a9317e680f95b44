"""`fit`: the training loop of every learned system."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jqc.errors import TrainingError
from jqc.files import finite
from jqc.timing import stage
from jqc.training.batches import Batch, Examples, count, take, training_batches, validation_batches
from jqc.training.folder import METRICS, claimed, description, resume, save
from jqc.training.interrupt import asked_to_stop
from jqc.training.records import Progress, Record, append
from jqc.training.run import Reason, Run, begin, best_parameters, judge, why_done
from jqc.training.settings import MOST_STEPS, TrainingSettings
from jqc.training.step import Key, Loss, Parameters, TrainState, init, step, without_sums


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    `parameters` are those of the best validation, averaged; without validation the last average. `history` holds the
    validation records.
    """

    parameters: Parameters
    state: TrainState
    history: list[Record]
    stopped: Reason


def fit(
    loss: Loss,
    parameters: Parameters,
    data: Sequence[Examples],
    validation: Sequence[Examples],
    settings: TrainingSettings,
    folder: str | Path | None = None,
    *,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Minimise the mean of a loss over examples.

    Parameters
    ----------
    loss
        Of parameters, a batch and a random key: the mean over the batch, and a dict of named means. One program is
        compiled for each class of examples.
    parameters
        Any pytree of floating-point arrays; a folder that holds a run already has its own.
    data, validation
        One pytree of numpy arrays for each size class, with a leading `example` axis; `validation` may be empty.
    settings
        How long, how fast, in what order.
    folder
        Where checkpoints and records are kept; a run of the same settings goes on from its last checkpoint.
    about
        Plain values by name that a run in `folder` must share to go on: what the loss and the data are, of which
        training sees numbers only.
    progress
        Called with every record, see `jqc.training.records`; `live_table` makes one.

    Raises
    ------
    TrainingError
        Data, parameters, `about` or a loss that cannot be used, patience without validation, a folder of another run,
        or one that cannot be written.

    >>> x = np.linspace(-1.0, 1.0, 16)
    >>> line = {"x": x, "y": 3 * x}
    >>> def loss(slope, batch, key):
    ...     error = jax.numpy.mean((slope * batch["x"] - batch["y"]) ** 2)
    ...     return error, {}
    >>> fitted = fit(loss, np.zeros(()), [line], [], TrainingSettings(steps=300, learning_rate=0.1))
    >>> print(f"{fitted.parameters:.2f}", fitted.stopped)
    3.00 steps
    """
    with _prepared(loss, parameters, data, validation, settings, folder, about or {}) as (run, records):

        def tell(record: Record) -> None:
            record = finite(record)
            if folder is not None:
                append(Path(folder) / METRICS, record)
            records.append(record)
            if progress is not None:
                progress(record)

        def keep(run: Run) -> None:
            if folder is not None:
                with stage("checkpoints"):
                    save(Path(folder), run)

        with asked_to_stop() as asked:
            run = _trained(loss, run, data, validation, settings, tell, keep, asked)
            keep(run)
    history = [record for record in records if record["kind"] == "validation"]
    return Fitted(best_parameters(run), run.state, history, why_done(run, settings) or "interrupted")


@contextmanager
def _prepared(loss, parameters, data, validation, settings, folder, about) -> Iterator[tuple[Run, list[Record]]]:
    """The run to go on with, and its records, as long as its folder is held; everything is checked here."""
    sizes = [count(examples, f"data[{at}]") for at, examples in enumerate(data)]
    others = [count(examples, f"validation[{at}]") for at, examples in enumerate(validation)]
    if not sizes:
        raise TrainingError("there are no data to train on; give at least one class of examples.")
    if settings.patience and not others:
        raise TrainingError(f"patience is {settings.patience}, but no validation is given; give some, or no patience.")
    run = begin(init(loss, parameters, take(data[0], np.arange(min(settings.batch_size, sizes[0]))), settings))
    if folder is None:
        yield run, []
        return
    with claimed(Path(folder), description(about, settings, sizes, others, run)):
        yield resume(Path(folder), run)


def _trained(loss, run, data, validation, settings, tell, keep, asked) -> Run:
    """Steps until the run is done or asked to stop."""
    training = _programs(partial(step, loss, settings), donate=0)
    validating = _programs(partial(_loss_of_batch, loss))
    key = jax.random.key(settings.seed)
    at = int(run.state.step)
    upcoming = training_batches(data, settings.batch_size, settings.seed, at)
    present = next(upcoming)
    while not (why_done(run, settings) or asked()):
        run, info, present = _advanced(run, present, key, training, upcoming)
        at += 1
        validated = None
        if validation and (why_done(run, settings) or at % settings.validate_every == 0):
            with stage("validation"):
                validated = _validation_record(run, validation, settings.batch_size, key, validating)
            run = judge(run, validated["loss"])
        if why_done(run, settings) or at % settings.log_every == 0:  # a validation may have ended it
            tell(_training_record(run, info))
            run = replace(run, state=without_sums(run.state))
        if validated:
            tell(validated)
        if at % settings.checkpoint_every == 0:
            keep(run)
    return run


def _advanced(
    run: Run, present: tuple[int, Batch], key: Key, training: Callable, upcoming: Iterator[tuple[int, Batch]]
) -> tuple[Run, dict[str, Any], tuple[int, Batch]]:
    """The run after a step, what the step tells, and the next batch, gathered while the step is at work."""
    which, batch = present
    batch = jax.device_put(batch)
    program = training(which, run.state, batch, key)
    started = time.perf_counter()
    state, info = program(run.state, batch, key)
    following = next(upcoming)
    jax.block_until_ready(info)
    return replace(run, state=state, seconds=run.seconds + time.perf_counter() - started), info, following


def _programs(function: Callable, donate: int | None = None) -> Callable:
    """`programs(name, *arguments)` is `function` compiled for the shapes of its arguments, once for each name."""
    jitted = jax.jit(function, donate_argnums=donate)
    compiled = {}

    def programs(name: Any, *arguments: Any) -> Callable:
        if name not in compiled:
            with stage("compile"):
                compiled[name] = jitted.lower(*arguments).compile()
        return compiled[name]

    return programs


def _loss_of_batch(loss: Loss, parameters: Parameters, batch: Batch, key: Key, number: Any):
    """Loss and terms with a key that no training step has, the same in every validation."""
    return loss(parameters, batch, jax.random.fold_in(key, number))


def _training_record(run: Run, info: dict[str, Any]) -> Record:
    """Means since the last record."""
    state, info = jax.device_get(((run.state.step, run.state.skipped, run.state.sums, run.state.summed), info))
    at, skipped, sums, summed = state
    means = jax.tree.map(lambda value: float(value) / int(summed) if summed else np.nan, sums)
    return {
        "kind": "training",
        "step": int(at),
        "loss": means["loss"],
        "terms": means["terms"],
        "gradient_norm": means["gradient_norm"],
        "learning_rate": float(info["learning_rate"]),
        "skipped": int(skipped),
        "seconds": run.seconds,
    }


def _validation_record(run: Run, validation: Sequence[Examples], batch_size: int, key: Key, validating) -> Record:
    """Means over all validation examples."""
    sums, total = None, 0
    for at, (which, size, batch) in enumerate(validation_batches(validation, batch_size)):
        arguments = (run.state.average, jax.device_put(batch), key, np.uint32(MOST_STEPS + 1 + at))
        means = jax.device_get(validating((which, size), *arguments)(*arguments))
        weighted = jax.tree.map(lambda mean, size=size: size * float(mean), means)
        sums = weighted if sums is None else jax.tree.map(float.__add__, sums, weighted)
        total += size
    value, terms = jax.tree.map(lambda sum_: sum_ / total, sums)
    step_ = int(run.state.step)
    return {"kind": "validation", "step": step_, "loss": value, "terms": terms, "seconds": run.seconds}
