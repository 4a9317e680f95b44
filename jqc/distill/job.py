"""Records of an evaluation: a task for every molecule and functional, in stores that name what numbers depend on."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import jax

from jqc.data.record import Record
from jqc.data.store import Store, open_store
from jqc.data.tasks import Outcome, run_tasks
from jqc.distill.dataset import molecule_of
from jqc.distill.labelling import shared_rooms
from jqc.distill.labels import LabelSettings
from jqc.distill.measure import measure
from jqc.distill.rows import Labelled
from jqc.distill.subjects import Subject
from jqc.errors import StoreError
from jqc.system.lengths import Lengths
from jqc.xc import functional as named_functional
from jqc.xc.base import Functional

IRRELEVANT = ("derivatives", "seed")
"""Settings of labels that change no density."""

INHERITED = ("jax_enable_x64", "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
"""Options of JAX that workers share."""

Outcomes = Iterator[Outcome[None]]
Watch = Callable[[Outcomes, int, str], Outcomes]
"""Called with a functional's outcomes, their number and a title, as `jqc.data.with_progress`."""


@dataclass(frozen=True)
class Job:
    """The molecules to evaluate: their labels, how these were made, and array lengths by name."""

    data: Path
    settings: LabelSettings
    states: int
    labelled: Mapping[str, Labelled]
    rooms: Mapping[str, Lengths]

    def open(self, subject: Subject, versions: Mapping[str, str]) -> Store:
        """The store of a functional's records, all of which are of these labels.

        Raises:
            StoreError: there are results of another functional, other settings or other labels.
        """
        relevant = {key: value for key, value in self.settings.as_dict().items() if key not in IRRELEVANT}
        settings = {f"label_{key}": value for key, value in relevant.items()}
        settings |= {"states": self.states, "functional": subject.name, "functional_sha256": subject.sha256}
        try:
            store = open_store(subject.folder, settings, versions)
        except StoreError as error:
            raise StoreError(f"{str(error).rstrip('.')}, or delete {subject.folder} to evaluate anew.") from None
        for name in self.rooms:
            if store.done(name) and store.read(name, ()).attributes["label_sha256"] != self.labelled[name].sha256:
                raise StoreError(
                    f"{subject.folder / name}.h5 is of another label than {self.data / name}.h5; delete "
                    f"{subject.folder} to evaluate anew."
                )
        return store

    def run(self, subject: Subject, store: Store, workers: int, watch: Watch) -> None:
        """Measure what is neither there nor known to fail; failures are noted in the store."""
        known = {*store.names(), *store.failures()}
        tasks = {
            name: Task(name, subject.functional, self.data, subject.folder, self.settings, self.states, room)
            for name, room in self.rooms.items()
            if name not in known
        }
        if not tasks:
            return
        for outcome in watch(run_tasks(run_task, tasks, workers, _like_here()), len(tasks), subject.name):
            if outcome.error is not None:
                store.fail(outcome.name, outcome.error)

    def read(self, store: Store) -> dict[str, Record]:
        """Records by name, without densities."""
        found = {}
        for name in self.rooms:
            if store.done(name):
                whole = store.read(name)
                found[name] = Record(
                    {key: each for key, each in whole.arrays.items() if key != "dm"}, {}, whole.attributes
                )
        return found


@dataclass(frozen=True)
class Task:
    """One molecule and functional, where the label is and where the record goes."""

    name: str
    functional: Functional
    data: Path
    folder: Path
    settings: LabelSettings
    states: int
    room: Lengths


def run_task(task: Task) -> None:
    """Measure one molecule into its store, unless an evaluation beside this one has done so."""
    labels, store = open_store(task.data), open_store(task.folder)
    if store.done(task.name):
        return
    known, label = labelled(labels, task.name), labels.read(task.name).arrays
    teacher = named_functional(task.settings.functional)
    arrays, statuses = measure(task.functional, teacher, label, known.molecule, task.settings, task.states, task.room)
    store.write(task.name, arrays, statuses | {"label_sha256": known.sha256})


def labelled(store: Store, name: str) -> Labelled:
    """What evaluations ask of a label.

    Raises:
        StoreError: the record is damaged.
    """
    record = store.read(name, ("numbers", "coords", "energy"))
    digest = hashlib.sha256((store.folder / f"{name}.h5").read_bytes()).hexdigest()
    return Labelled(molecule_of(record), record.attributes, float(record.arrays["energy"]), digest)


def surveyed(store: Store) -> tuple[LabelSettings, dict[str, Labelled], dict[str, Lengths]]:
    """How labels were made, what they are of, and array lengths by name in order of size.

    Array lengths of a class depend on all labels, not on which of them are computed.

    Raises:
        StoreError: the store is none of labels, holds none, or one is damaged.
    """
    settings = label_settings(store)
    known = {name: labelled(store, name) for name in store.names()}
    if not known:
        raise StoreError(f"{store.folder} holds no labels; run jqc label to the end.")
    return settings, known, shared_rooms({name: each.molecule for name, each in known.items()}, settings)


def label_settings(store: Store) -> LabelSettings:
    """How labels were made.

    Raises:
        StoreError: the store is none of labels.
    """
    if {*store.settings} != {each.name for each in fields(LabelSettings)}:
        raise StoreError(f"{store.folder} is no store of labels; give a folder that jqc label made.")
    return LabelSettings(**store.settings)


def _like_here() -> Callable[[], None]:
    """What gives a worker this process's precision and cache of compiled programs."""
    return partial(_configure, {name: getattr(jax.config, name) for name in INHERITED})


def _configure(values: Mapping[str, bool | str | float | None]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
