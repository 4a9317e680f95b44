"""A distillation run: from stores of labels to a learned functional in a folder."""

import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jqc.devices import mesh
from jqc.distill.config import DistillConfig
from jqc.distill.dataset import Dataset, load, same_labels, split_by_formula
from jqc.errors import FunctionalError
from jqc.files import make_folder, write_json
from jqc.group import leads
from jqc.training import Fitted, fit
from jqc.training.accumulate import one_by_one
from jqc.training.records import Progress
from jqc.xc import functional as named_functional
from jqc.xc.neural.architectures import create
from jqc.xc.neural.files import load as read_functional
from jqc.xc.neural.files import save
from jqc.xc.neural.learned import Learned

FUNCTIONAL, CONFIG = "functional.npz", "config.json"
"""What a run's folder holds besides what training keeps there."""

HELD_BACK = 0.1
"""Share of formulas to validate on where no labels are given for that."""


@dataclass(frozen=True)
class Distilled:
    """A trained functional, how training went, and where the functional comes from.

    A run that was interrupted has the best functional so far, which is not written to its folder.
    """

    functional: Learned
    fitted: Fitted
    provenance: dict[str, Any]


def distil(config: DistillConfig, folder: Path, progress: Progress | None = None) -> Distilled:
    """Train a functional on labels; a folder that holds the same run is taken up where it stopped.

    All devices take part, those of other processes too where this one is member of a group (`jqc.group`), which all
    read the labels and of which the first one writes the folder.

    Raises:
        InputError: data, model or settings that cannot be used, or a folder of another run.
        GroupError: another process of the group has ended.
    """
    student = create(config.model, jax.random.key(config.training.seed), **config.options)
    data, validation = datasets(config)
    devices = mesh()
    if leads(devices):
        make_folder(folder)
    teacher = named_functional(str(data.settings["functional"]))
    loss = one_by_one(lambda student, example, key: config.loss(student, teacher, example, key), devices)
    fitted = fit(
        loss,
        student,
        data.classes,
        validation.classes,
        config.training,
        folder / "training",
        about=_identity(config, data, validation),
        progress=progress,
        mesh=devices,
    )
    provenance = _provenance(config, data, validation, fitted)
    if leads(devices) and fitted.stopped != "interrupted" and not _holds(folder / FUNCTIONAL, fitted.parameters):
        write_json(folder / CONFIG, config.to_dict())
        save(folder / FUNCTIONAL, fitted.parameters, provenance)
    return Distilled(fitted.parameters, fitted, provenance)


def _holds(path: Path, functional: Learned) -> bool:
    """Whether a file has these parameters already; it then says when and with what they were found."""
    if not path.exists():
        return False
    try:
        held = jax.tree.leaves(read_functional(path))
    except FunctionalError:
        return False
    return all(np.array_equal(one, other) for one, other in zip(held, jax.tree.leaves(functional), strict=True))


def datasets(config: DistillConfig) -> tuple[Dataset, Dataset]:
    """Examples to learn from and to validate on."""
    made = partial(load, grid_level=config.grid_level, integrals=config.loss.needs_integrals)
    if config.validation is None:
        training, held_back = split_by_formula(config.data, HELD_BACK)
        return made(config.data, names=training), made(config.data, names=held_back)
    data, validation = made(config.data), made(config.validation)
    same_labels(data, validation, config.validation)
    return data, validation


def _identity(config: DistillConfig, data: Dataset, validation: Dataset) -> dict[str, Any]:
    """What makes it the same run, wherever its labels lie."""
    content = config.to_dict()
    nested = {f"{part} {name}": value for part in ("options", "loss") for name, value in content[part].items()}
    hashes = {"training labels": data.sha256, "validation labels": validation.sha256}
    return {"model": config.model, "grid_level": config.grid_level} | nested | hashes


def _provenance(config: DistillConfig, data: Dataset, validation: Dataset, fitted: Fitted) -> dict[str, Any]:
    """Where a functional comes from, as its file tells."""
    packages = ("jqc-jax", "jax", "jaxlib", "flax", "optax", "numpy", "pyscf")
    return {
        "config": config.to_dict(),
        "labels": data.settings,
        "examples": {"training": data.size, "validation": validation.size},
        "sha256": {"training": data.sha256, "validation": validation.sha256},
        "steps": int(fitted.state.step),
        "skipped": int(fitted.state.skipped),
        "stopped": fitted.stopped,
        "validation": fitted.history[-1] if fitted.history else None,
        "versions": {name: version(name) for name in packages},
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
