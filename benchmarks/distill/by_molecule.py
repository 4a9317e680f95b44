"""What benchmarks over the study's evaluated molecules share: a row of each, written as it comes, and gone on with.

Rows know, by a hash, which functionals they are of; those of others are found anew.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from jqc.cli.calculation import set_up_jax
from jqc.data import open_store, run_tasks, with_progress
from jqc.distill.job import surveyed
from jqc.distill.labels import LabelSettings
from jqc.files import seal, write_json
from jqc.system import Molecule
from jqc.system.lengths import Lengths

Stores = Mapping[str, Path | None]
"""Stores of evaluations by the name of what was evaluated; None for what needs none."""

Rows = dict[str, dict[str, Any]]
"""Findings by molecule, and by the names of `Stores`."""


@dataclass(frozen=True)
class Task:
    """A labelled molecule, the store of its label, and the evaluations whose findings are missing."""

    name: str
    molecule: Molecule
    settings: LabelSettings
    labels: Path
    stores: Stores
    room: Lengths


def evaluations(study: Path, data: str) -> dict[str, Path]:
    """Stores of all runs that were evaluated, to the end, on some labels."""
    pages = sorted((study / "runs").glob(f"*/evaluation/{data}.json"))
    return {path.parents[1].name: path.with_suffix("") for path in pages}


def identities(stores: Stores) -> dict[str, str]:
    """Hashes of what every evaluation is of: its functional, and how its labels were made."""
    return {name: "" if folder is None else seal(open_store(folder).settings) for name, folder in stores.items()}


def planned(labels: Path, stores: Stores, rows: Rows) -> dict[str, Task]:
    """What is still to be found, by molecule, for those that are in every store."""
    settings, known, rooms = surveyed(open_store(labels))
    evaluated = set.intersection(*(set(open_store(folder).names()) for folder in stores.values() if folder))
    tasks = {}
    for name in (name for name in rooms if name in evaluated):  # in order of size
        left = {each: folder for each, folder in stores.items() if each not in rows.get(name, {})}
        if left:
            tasks[name] = Task(name, known[name].molecule, settings, labels, left, rooms[name])
    return tasks


def resume(
    description: str | None,
    stores_of: Callable[[Path, str], Stores],
    run_task: Callable[[Task], dict[str, Any]],
    summary: Callable[[Rows], Mapping[str, Any]],
) -> None:
    """The command line of such a benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the two smallest molecules")
    parser.add_argument("study", type=Path, help="folder that holds labels/ and runs/")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--data", default="test", help="labels that the runs were evaluated on")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    set_up_jax()
    stores = stores_of(options.study, options.data)
    if not any(stores.values()):
        raise SystemExit(f"no run in {options.study} was evaluated on {options.data}; run benchmarks/distill/run.py.")
    content = json.loads(options.json.read_text()) if options.json.exists() else {"of": {}, "rows": {}}
    of = identities(stores)
    valid = {name for name in stores if content["of"].get(name) == of[name]}
    rows = {name: {each: row[each] for each in row if each in valid} for name, row in content["rows"].items()}
    tasks = planned(options.study / "labels" / options.data, stores, rows)
    if options.quick:
        tasks = dict(islice(tasks.items(), 2))
    for outcome in with_progress(run_tasks(run_task, tasks, options.workers, set_up_jax), len(tasks), "molecules"):
        if outcome.value is None:
            raise SystemExit(f"{outcome.name}: {outcome.error}")
        rows[outcome.name] = rows.get(outcome.name, {}) | outcome.value
        about = {"jqc": version("jqc-jax"), "date": time.strftime("%Y-%m-%d")}
        write_json(options.json, about | {"summary": summary(rows), "of": of, "rows": rows})
    for name, means in summary(rows).items():
        print(name, means)
