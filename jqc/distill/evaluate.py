"""The evaluation of a functional on a store of labels, beside other functionals; docs/evaluation.md defines all of it.

Results of every molecule and functional are records of a store, so that an evaluation which was killed goes on where
it was, and what does not depend on the functional is computed once for the data.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from jqc.data.record import Record
from jqc.data.store import Store, open_store
from jqc.distill.job import Job, Watch, surveyed
from jqc.distill.rows import Labelled, row
from jqc.distill.subjects import Subject, subject_of
from jqc.distill.summary import summarised
from jqc.errors import InputError
from jqc.numerics import require_double_precision

PACKAGES = ("jqc-jax", "jax", "jaxlib", "numpy", "pyscf")
"""Packages whose version may change a number."""

SEED = 0
"""Of the choice of a subset."""


@dataclass(frozen=True)
class Evaluation:
    """Numbers of a functional, of those it is compared with, and what they were computed with.

    `functionals` holds, by name, `summary`, `molecules` (a row each), `failures`, `sha256` and `provenance`; the one
    that was evaluated comes first. `references` holds the same of the teacher and PBE, whose solutions and states are
    compared with, where they are not among these. `folder` is the store of the functional's records, `versions` are
    all that have written to the stores.
    """

    folder: Path
    functionals: dict[str, dict[str, Any]]
    references: dict[str, dict[str, Any]]
    data: dict[str, Any]
    states: int
    versions: dict[str, list[str]]

    @property
    def incomplete(self) -> dict[str, list[str]]:
        """By functional, names of molecules without a converged density."""
        lists = {
            name: [row["record"] for row in made["molecules"] if row["scf"] != "converged"]
            for name, made in (self.functionals | self.references).items()
        }
        return {name: records for name, records in lists.items() if records}

    def path(self, suffix: str) -> Path:
        """A file beside the store of the functional's records."""
        return self.folder.with_name(self.folder.name + suffix)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return {
            "functional": next(iter(self.functionals)),
            "data": self.data,
            "states": self.states,
            "functionals": self.functionals,
            "references": self.references,
            "versions": self.versions,
        }


def evaluate(
    functional: str,
    data: Path,
    against: Sequence[str] = ("pbe", "r2scan"),
    *,
    states: int = 5,
    limit: int | None = None,
    workers: int = 1,
    watch: Watch = lambda outcomes, total, title: outcomes,
) -> Evaluation:
    """Measure a functional, and others, on labelled molecules.

    Parameters
    ----------
    functional
        A name, a file of a learned functional, or a training run's folder, which then keeps the results.
    data
        A folder that `jqc label` made.
    against
        Functionals to compare with, given in the same way.
    states
        Singlets, and triplets, whose energies are compared.
    limit
        Molecules at most, evenly over sum formulas; those of a smaller limit are among those of a larger one.
    workers
        Processes at work.
    watch
        Sees the outcomes as they come.

    Raises
    ------
    InputError
        An unknown functional, no labels, results of another functional or of other labels in the way, or numbers that
        mean nothing.
    """
    require_double_precision()
    for name, value in {"states": states, "limit": limit, "workers": workers}.items():
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; give 1 or more.")
    job = _job(Path(data), states, limit)
    shown = _distinct(subject_of(text, job.data) for text in (functional, *against))
    teacher, pbe = (subject_of(text, job.data) for text in (job.settings.functional, "pbe"))
    everyone = _distinct((*shown, teacher, pbe))
    versions = {name: version(name) for name in PACKAGES}
    stores = {subject.folder: job.open(subject, versions) for subject in everyone}  # all of them, before long work
    for subject in everyone:
        job.run(subject, stores[subject.folder], workers, watch)
    records = {folder: job.read(store) for folder, store in stores.items()}
    starts = records[teacher.folder], records[pbe.folder]
    told = {each.name: _told(job, each, stores[each.folder], records[each.folder], *starts) for each in everyone}
    functionals = {each.name: told.pop(each.name) for each in shown}
    return Evaluation(shown[0].folder, functionals, told, _about(job), states, _versions([*stores.values()]))


def _job(data: Path, states: int, limit: int | None) -> Job:
    """The molecules that are chosen."""
    settings, known, rooms = surveyed(open_store(data))
    chosen = subset(known, limit)
    return Job(data, settings, states, known, {name: room for name, room in rooms.items() if name in chosen})


def subset(known: Mapping[str, Labelled], limit: int | None) -> set[str]:
    """Names of at most `limit` molecules: two of each sum formula in turn, formulas in a seeded order.

    Of a formula minima come first, so that isomers are compared, and before what else has their name.
    """
    by_formula: dict[str, list[str]] = {}
    for name in sorted(known, key=lambda name: (known[name].info.get("kind") != "minimum", name)):
        by_formula.setdefault(known[name].formula, []).append(name)
    formulas = np.random.default_rng(SEED).permutation(sorted(by_formula)).tolist()
    order = {
        name: (place // 2, turn, place)
        for turn, key in enumerate(formulas)
        for place, name in enumerate(by_formula[key])
    }
    return set(sorted(order, key=order.__getitem__)[:limit])


def _distinct(subjects: Iterable[Subject]) -> list[Subject]:
    """Each functional once.

    Raises:
        InputError: two have one name.
    """
    by_folder = {subject.folder: subject for subject in subjects}
    names = [subject.name for subject in by_folder.values()]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two functionals are called {name}; rename the folder of one run.")
    return list(by_folder.values())


def _told(
    job: Job,
    subject: Subject,
    store: Store,
    found: Mapping[str, Record],
    teacher: Mapping[str, Record],
    pbe: Mapping[str, Record],
) -> dict[str, Any]:
    """What is said of one functional."""
    rows = [
        row(name, job.labelled[name], found.get(name), teacher.get(name), pbe.get(name)) for name in sorted(job.rooms)
    ]
    return {
        "summary": summarised(rows),
        "molecules": rows,
        "failures": {name: why for name, why in store.failures().items() if name in job.rooms},
        "sha256": subject.sha256,
        "provenance": subject.provenance,
    }


def _versions(stores: Sequence[Store]) -> dict[str, list[str]]:
    """All versions, by package, of what has written to some store."""
    return {name: sorted({each for store in stores for each in store.versions.get(name, ())}) for name in PACKAGES}


def _about(job: Job) -> dict[str, Any]:
    """What was evaluated on."""
    hashes = "".join(job.labelled[name].sha256 for name in sorted(job.rooms))
    return {
        "folder": str(job.data),
        "settings": job.settings.as_dict(),
        "labels": len(job.labelled),
        "evaluated": len(job.rooms),
        "sha256": hashlib.sha256(hashes.encode()).hexdigest(),
    }
