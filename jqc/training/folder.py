"""A run's folder: `settings.json`, `metrics.jsonl` and `checkpoints/`, and how a run finds its place again."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax

from jqc.errors import TrainingError, refusal
from jqc.files import remove_abandoned, write_atomically
from jqc.training import checkpoint
from jqc.training.records import Record, records_until, settle
from jqc.training.run import Run, plain
from jqc.training.settings import TrainingSettings

SETTINGS, METRICS, CHECKPOINTS = "settings.json", "metrics.jsonl", "checkpoints"


def description(
    about: Mapping[str, Any], settings: TrainingSettings, data: Sequence[int], validation: Sequence[int], run: Run
) -> dict[str, Any]:
    """What must be the same for a run to go on, what is told of it first: parameters follow from that.

    Raises:
        TrainingError: JSON cannot hold what is told.
    """
    leaves = jax.tree_util.tree_leaves_with_path(run.state.parameters)
    return {
        "run": _as_json(about),
        "setting": settings.to_dict(),
        "examples": {"training": list(data), "validation": list(validation)},
        "parameter": {jax.tree_util.keystr(at): f"{leaf.dtype}{list(leaf.shape)}" for at, leaf in leaves},
    }


@contextmanager
def claimed(folder: Path, described: dict[str, Any]) -> Iterator[None]:
    """Hold a folder for this run, and for this process alone; the system lets go of it when that ends, however.

    Raises:
        TrainingError: the folder cannot be made, another process trains there, or it holds a run that differs or that
            nothing describes.
        InputError: the file of settings cannot be written.
    """
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            holder = os.open(folder, os.O_RDONLY)
            held.callback(os.close, holder)
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _settle_settings(folder, described)
            remove_abandoned(folder)
            (folder / CHECKPOINTS).mkdir(exist_ok=True)
        except BlockingIOError:
            raise TrainingError(f"another process trains in {folder}; stop it, or give another folder.") from None
        except OSError as error:
            reason = refusal(error)
            raise TrainingError(f"{folder} cannot hold a run ({reason}); free it or give another folder.") from None
        yield


def _settle_settings(folder: Path, described: dict[str, Any]) -> None:
    """Write what a run is, or check that it is what a file says; the first difference is named."""
    path = folder / SETTINGS
    if not path.exists():
        for held in (folder / METRICS, *(folder / CHECKPOINTS).glob("*")):
            if held.exists():
                raise TrainingError(
                    f"{folder} holds {held.relative_to(folder)} but no {SETTINGS}; put its own back, or give another "
                    "folder."
                )
        write_atomically(path, (json.dumps(described, indent=2) + "\n").encode())
    try:
        different = difference(described, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError):
        raise TrainingError(f"{path} is damaged; give another folder, or delete {folder} to begin anew.") from None
    if different:
        name, here, there = different
        raise TrainingError(
            f"{path} is of a run with {name} = {there}, and {here} is given; give the same, or another folder."
        )


def difference(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, Any, Any] | None:
    """The first thing of which two descriptions tell differently: its name, and what either says."""
    ours, theirs = _flat(one), _flat(other)
    for name in ours | theirs:
        here, there = ours.get(name, "none"), theirs.get(name, "none")
        if here != there:
            return name, here, there
    return None


def resume(folder: Path, run: Run) -> tuple[Run, list[Record]]:
    """The run and its records as of the last checkpoint; as given where there is none.

    Raises:
        TrainingError: the checkpoint is damaged or of other arrays, or it or the records cannot be read.
    """
    checkpoint.tidy(folder / CHECKPOINTS)
    held = checkpoint.complete(folder / CHECKPOINTS)
    if held:
        run = plain(checkpoint.restore(held[-1], run))
    return run, records_until(folder / METRICS, int(run.state.step))


def save(folder: Path, run: Run) -> None:
    """Write a checkpoint, whose records are on the disk before it is.

    Raises:
        TrainingError: a file cannot be written.
    """
    settle(folder / METRICS)
    checkpoint.save(folder / CHECKPOINTS, int(run.state.step), run)


def _as_json(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a run, as it is read back."""
    held = {}
    for key, value in about.items():
        try:
            held |= json.loads(json.dumps({key: value}, allow_nan=False))
        except (TypeError, ValueError):
            raise TrainingError(
                f"about[{key!r}] is {value!r}, which JSON cannot hold; give text, finite numbers, True, False, "
                "None, or lists and dicts of them."
            ) from None
    return held


def _flat(described: dict[str, Any]) -> dict[str, Any]:
    return {f"{part} {name}": value for part, values in described.items() for name, value in values.items()}
