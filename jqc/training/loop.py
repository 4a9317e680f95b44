"""`fit`: the training loop of every learned system."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jqc.devices import divided, everywhere, one_device, replicated
from jqc.errors import TrainingError
from jqc.files import finite
from jqc.group import largest, leads, noticing_losses
from jqc.settings import LARGEST
from jqc.timing import stage
from jqc.training.batches import Batch, Examples, count, take, training_batches, validation_batches
from jqc.training.folder import METRICS, description, save
from jqc.training.interrupt import asked_to_stop
from jqc.training.records import Progress, Record, append
from jqc.training.run import Reason, Run, begin, best_parameters, judge, on_host, why_done
from jqc.training.settings import TrainingSettings
from jqc.training.step import Key, Loss, Parameters, TrainState, init, step, without_sums
from jqc.training.together import held


@dataclass(frozen=True)
class Fitted:
    """What training gives, the same in every process of a group.

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
    mesh: Mesh | None = None,
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
    mesh
        Devices to train on (`jqc.devices.mesh`), of this process or of a group, JAX's default one if not given. Results
        are those of one device up to rounding; the work is shared out where the loss is (`one_by_one` takes a mesh
        too) or where the compiler sees how. In a group all processes call with the same; the first one alone uses
        folder and progress; the slowest one's seconds and any one's interrupt count for all.

    Raises
    ------
    TrainingError
        Data, parameters, `about` or a loss that cannot be used, patience without validation, a folder of another run,
        or one that cannot be written, or processes that are to train different things.
    GroupError
        Another process of the group has ended.

    >>> x = np.linspace(-1.0, 1.0, 16)
    >>> line = {"x": x, "y": 3 * x}
    >>> def loss(slope, batch, key):
    ...     error = jax.numpy.mean((slope * batch["x"] - batch["y"]) ** 2)
    ...     return error, {}
    >>> fitted = fit(loss, np.zeros(()), [line], [], TrainingSettings(steps=300, learning_rate=0.1))
    >>> print(f"{fitted.parameters:.2f}", fitted.stopped)
    3.00 steps
    """
    mesh = one_device() if mesh is None else mesh
    described, run = _prepared(loss, parameters, data, validation, settings, about or {})
    path = None if folder is None else Path(folder)
    with noticing_losses(), held(path, described, run, mesh) as (run, records):

        def tell(record: Record) -> None:
            record = finite(record)
            records.append(record)
            if path is not None and leads(mesh):
                append(path / METRICS, record)
            if progress is not None and leads(mesh):
                progress(record)

        def keep(run: Run) -> None:
            if path is not None and leads(mesh):
                with stage("checkpoints"):
                    save(path, run)

        with asked_to_stop() as asked:
            run = replace(run, state=replicated(run.state, mesh))
            run = _trained(loss, run, data, validation, settings, mesh, tell, keep, asked)
            keep(run)
    run = replace(run, state=jax.tree.map(jax.numpy.array, on_host(run.state)))  # on one device of this process
    history = [record for record in records if record["kind"] == "validation"]
    return Fitted(best_parameters(run), run.state, history, why_done(run, settings) or "interrupted")


def _prepared(loss, parameters, data, validation, settings, about) -> tuple[dict[str, Any], Run]:
    """What the run is, and the run before its first step; everything is checked here."""
    sizes = [count(examples, f"data[{at}]") for at, examples in enumerate(data)]
    others = [count(examples, f"validation[{at}]") for at, examples in enumerate(validation)]
    if not sizes:
        raise TrainingError("there are no data to train on; give at least one class of examples.")
    if settings.patience and not others:
        raise TrainingError(f"patience is {settings.patience}, but no validation is given; give some, or no patience.")
    run = begin(init(loss, parameters, take(data[0], np.arange(min(settings.batch_size, sizes[0]))), settings))
    return description(about, settings, sizes, others, run), run


def _trained(loss, run, data, validation, settings, mesh, tell, keep, asked) -> Run:
    """Steps until the run is done or any process is asked to stop."""
    training = _programs(partial(step, loss, settings), mesh, donate=0)
    validating = _programs(partial(_loss_of_batch, loss), mesh)
    key = jax.jit(partial(jax.random.key, settings.seed), out_shardings=everywhere(mesh))()
    at = int(run.state.step)
    upcoming = training_batches(data, settings.batch_size, settings.seed, at)
    present = next(upcoming)
    while not (why_done(run, settings) or largest(asked(), mesh)):
        run, info, present = _advanced(run, present, key, mesh, training, upcoming)
        at += 1
        validated = None
        if validation and (why_done(run, settings) or at % settings.validate_every == 0):
            with stage("validation"):
                validated = _validation_record(run, validation, settings.batch_size, key, mesh, validating)
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
    run: Run,
    present: tuple[int, Batch],
    key: Key,
    mesh: Mesh,
    training: Callable,
    upcoming: Iterator[tuple[int, Batch]],
) -> tuple[Run, dict[str, Any], tuple[int, Batch]]:
    """The run after a step, what the step tells, and the next batch, gathered while the step is at work."""
    which, batch = present
    batch = divided(batch, mesh)
    program = training(which, run.state, batch, key)
    started = time.perf_counter()
    state, info = program(run.state, batch, key)
    following = next(upcoming)
    jax.block_until_ready(info)
    seconds = largest(time.perf_counter() - started, mesh)
    return replace(run, state=state, seconds=run.seconds + seconds), info, following


def _programs(function: Callable, mesh: Mesh, donate: int | None = None) -> Callable:
    """`programs(name, *arguments)` is `function` compiled for the shapes of its arguments, once for each name."""
    jitted = jax.jit(function, donate_argnums=donate, out_shardings=everywhere(mesh))
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


def _validation_record(
    run: Run, validation: Sequence[Examples], batch_size: int, key: Key, mesh: Mesh, validating: Callable
) -> Record:
    """Means over all validation examples."""
    sums, total = None, 0
    for at, (which, size, batch) in enumerate(validation_batches(validation, batch_size)):
        arguments = (run.state.average, divided(batch, mesh), key, np.uint32(LARGEST + 1 + at))
        means = jax.device_get(validating((which, size), *arguments)(*arguments))
        weighted = jax.tree.map(lambda mean, size=size: size * float(mean), means)
        sums = weighted if sums is None else jax.tree.map(float.__add__, sums, weighted)
        total += size
    value, terms = jax.tree.map(lambda sum_: sum_ / total, sums)
    step_ = int(run.state.step)
    return {"kind": "validation", "step": step_, "loss": value, "terms": terms, "seconds": run.seconds}
