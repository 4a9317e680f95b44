"""The loop: it converges, validates, stops for each reason, compiles once a class, and tells what it does."""

import signal
import subprocess
import sys
import threading
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import regression

from jqc.errors import TrainingError
from jqc.timing import stages
from jqc.training import TrainingSettings, fit

BACKEND_COMPILE = "/jax/core/compile/backend_compile_duration"
"""jax's name for the event of a compilation."""

SETTINGS = replace(regression.SETTINGS, steps=40)


def run(settings=SETTINGS, validation=True, dtype=np.float64, **options):
    others = regression.validation(dtype) if validation else []
    return fit(regression.loss, regression.parameters(dtype), regression.data(dtype), others, settings, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_converges_in_either_precision(dtype):
    settings = replace(regression.SETTINGS, steps=1000, ema=0.9, log_every=10, validate_every=500)
    records = []
    fitted = run(settings, dtype=dtype, progress=records.append)
    losses = [record["loss"] for record in records if record["kind"] == "training"]
    assert losses[-1] < 0.05 * losses[0]
    assert fitted.stopped == "steps"
    assert {leaf.dtype for leaf in jax.tree.leaves(fitted.parameters)} == {np.dtype(dtype)}


def test_validation_is_the_mean_over_all_examples_on_averaged_parameters():
    fitted = run(replace(SETTINGS, steps=10, log_every=5, ema=0.7))
    (record,) = fitted.history
    key = jax.random.key(SETTINGS.seed)
    sums = np.zeros(3)
    cuts = [(0, slice(0, 4)), (0, slice(4, 6)), (1, slice(0, 2))]
    for at, (which, rows) in enumerate(cuts):
        batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], regression.validation()[which])
        value, terms = regression.loss(fitted.state.average, batch, jax.random.fold_in(key, np.uint32(2**31 + at)))
        sums += len(batch["y"]) * np.array([value, terms["mae"], terms["bias"]])
    told = [record["loss"], record["terms"]["mae"], record["terms"]["bias"]]
    np.testing.assert_allclose(told, sums / 8, rtol=1e-12)
    assert record["step"] == 10


def drift(parameters, batch, key):
    """Falls for ever in training, and in validation has its minimum at parameter 1."""
    return jnp.mean(batch["pull"] * parameters + batch["well"] * (parameters - 1) ** 2), {}


PULL = [{"pull": np.full(4, -1.0), "well": np.zeros(4)}]
WELL = [{"pull": np.zeros(4), "well": np.ones(4)}]


def test_early_stopping_keeps_the_best():
    settings = TrainingSettings(steps=500, learning_rate=0.1, schedule="constant", ema=0, validate_every=3, patience=4)
    fitted = fit(drift, np.zeros(()), PULL, WELL, settings)
    losses = [record["loss"] for record in fitted.history]
    best = int(np.argmin(losses))
    assert fitted.stopped == "early"
    assert len(losses) == best + 1 + settings.patience
    assert (float(fitted.parameters) - 1) ** 2 == pytest.approx(losses[best], rel=1e-9)
    assert float(fitted.state.parameters) > float(fitted.parameters) + 0.5


def test_steps_before_an_early_stop_are_recorded():
    """Validations fall on other steps than records: the last steps belong to no full interval."""
    records = []
    settings = TrainingSettings(
        steps=500, learning_rate=0.1, schedule="constant", ema=0, log_every=10, validate_every=3, patience=4
    )
    fitted = fit(drift, np.zeros(()), PULL, WELL, settings, progress=records.append)
    last = int(fitted.state.step)
    assert fitted.stopped == "early"
    assert last % settings.log_every
    assert [record["step"] for record in records if record["kind"] == "training"] == [*range(10, last, 10), last]
    assert [record["kind"] for record in records[-2:]] == ["training", "validation"]
    assert int(fitted.state.summed) == 0


def test_patience_needs_validation():
    with pytest.raises(TrainingError, match="patience is 3, but no validation is given; give some, or no patience"):
        run(replace(SETTINGS, patience=3), validation=False)


def test_without_validation_the_last_average_is_kept():
    fitted = run(validation=False)
    assert fitted.history == []
    for given, average in zip(*map(jax.tree.leaves, (fitted.parameters, fitted.state.average)), strict=True):
        np.testing.assert_array_equal(given, average)


def test_a_validation_that_is_never_finite_counts_as_none():
    nothing = [{"pull": np.full(2, np.nan), "well": np.zeros(2)}]
    settings = TrainingSettings(steps=500, validate_every=2, patience=3)
    fitted = fit(drift, np.zeros(()), PULL, nothing, settings)
    assert fitted.stopped == "early"
    assert [record["loss"] for record in fitted.history] == [None] * 3
    assert np.array_equal(fitted.parameters, fitted.state.average)


def test_skipped_steps_are_reported():
    broken = [PULL[0], {"pull": np.array([np.nan]), "well": np.zeros(1)}]
    records = []
    fitted = fit(
        drift, np.zeros(()), broken, [], TrainingSettings(steps=6, batch_size=4, log_every=2), progress=records.append
    )
    assert int(fitted.state.skipped) == records[-1]["skipped"] == 3
    assert np.isfinite(float(fitted.parameters))
    assert all(record["loss"] is None or np.isfinite(record["loss"]) for record in records)


def test_a_second_epoch_compiles_nothing():
    compiled = []

    def note(event: str, seconds: float, **_) -> None:
        compiled.append(event == BACKEND_COMPILE)

    def programs(steps: int) -> int:
        jax.clear_caches()
        compiled.clear()
        run(replace(SETTINGS, steps=steps, warmup=0, log_every=1, validate_every=1))
        return sum(compiled)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        epoch = 5
        assert programs(epoch) == programs(4 * epoch) >= 5  # 2 classes in training, 3 shapes in validation
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def test_the_budget_in_seconds_counts_steps_alone():
    with stages() as seconds:
        fitted = run(replace(SETTINGS, steps=10**6, seconds=0.05, validate_every=5))
    assert fitted.stopped == "seconds"
    assert 0.05 <= fitted.history[-1]["seconds"] < 0.05 + 0.5 * seconds["compile"]
    assert int(fitted.state.step) > 5


def test_an_interrupt_ends_the_run_after_its_step():
    handler = signal.getsignal(signal.SIGINT)
    fitted = run(progress=regression.interrupt_at(14))
    assert fitted.stopped == "interrupted"
    assert int(fitted.state.step) == 14
    assert signal.getsignal(signal.SIGINT) is handler


def test_no_thread_outlives_a_run(tmp_path):
    before = threading.active_count()
    run(folder=tmp_path / "run")
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("data", "validation", "message"),
    [
        ([], [], "there are no data"),
        ([{"x": np.zeros(0)}], [], r"data\[0\] has leading axes of \[0\]"),
        (PULL, [{}], r"validation\[0\] has leading axes of no array"),
    ],
)
def test_data_that_cannot_be_used_are_refused(data, validation, message):
    with pytest.raises(TrainingError, match=message):
        fit(drift, np.zeros(()), data, validation, TrainingSettings())


def test_terms_of_another_name_are_refused():
    def loss(parameters, batch, key):
        return drift(parameters, batch, key)[0], {f"of_{len(batch['pull'])}": jnp.zeros(())}

    with pytest.raises(TrainingError, match=r"\['of_2'\] for one class and \['of_4'\] for another"):
        fit(loss, np.zeros(()), [PULL[0], {"pull": np.ones(2), "well": np.ones(2)}], [], TrainingSettings())


def test_importing_the_loop_imports_neither_orbax_nor_rich():
    script = "import sys, jqc.training; assert not {'orbax', 'rich', 'matplotlib', 'pyscf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
