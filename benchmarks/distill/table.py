"""Write the study's figures into the documentation: evaluations of all runs, and what each term of the loss buys.

python benchmarks/distill/table.py STUDY docs/results

Statistics of every run go to docs/results/distill.json; tables stand between the markers of docs/results/distill.md,
with what parts.py has left in docs/results/parts.json.
"""

import argparse
import json
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jqc.files import write_json
from jqc.report.measures import TABLES
from jqc.training.records import Record, read_records

ARMS = {"e-rho": "E+ρ", "e-rho-grad": "E+ρ+∇", "e-rho-grad-hess": "E+ρ+∇+H"}
"""The losses that the study compares; the first one is what the others are measured against."""

Summary = dict[str, Any]


def mean_of(key: str) -> Callable[[Summary], float]:
    """A mean of magnitudes from a summary."""
    return lambda summary: summary[key]["mean"]


GAINS: dict[str, Callable[[Summary], float]] = {
    "total energy": mean_of("energy_error_hartree"),
    "E_ρ": mean_of("density_energy_error_hartree"),
    "‖Δρ‖": mean_of("density_distance_au"),
    "dipole": mean_of("dipole_error_debye"),
    "Fock builds": mean_of("fock_builds"),
    "singlets": mean_of("singlet_error_ev"),
    "triplets": mean_of("triplet_error_ev"),
}
"""What is compared between arms."""


LAST = {"training": 10, "validation": 1}
"""Records of each kind that tell how training ended."""


@dataclass(frozen=True)
class Run:
    """A trained and evaluated functional of the study; `terms` are those of its loss at the end of training."""

    architecture: str
    loss: str
    seed: int
    steps: int
    seconds: float
    terms: dict[str, dict[str, float]]
    summary: Summary
    energy_errors: dict[str, float]


def runs_of(study: Path, data: str) -> tuple[dict[str, Run], dict[str, Summary]]:
    """Finished runs by name, and the functionals that they are compared with."""
    runs, references = {}, {}
    for path in sorted((study / "runs").glob(f"*/evaluation/{data}.json")):
        folder = path.parents[1]
        content, config = json.loads(path.read_text()), json.loads((folder / "config.json").read_text())
        records = read_records(folder / "training" / "metrics.jsonl")
        own = content["functionals"].pop(content["functional"])
        training = config["training"]
        errors = {row["record"]: row["energy_error_hartree"] for row in own["molecules"]}
        runs[folder.name] = Run(
            config["model"],
            config["loss"]["name"],
            training["seed"],
            training["steps"],
            records[-1]["seconds"],
            {kind: last_terms(records, kind) for kind in LAST},
            own["summary"],
            {name: error for name, error in errors.items() if error is not None},
        )
        references |= {name: made["summary"] for name, made in content["functionals"].items()}
    return runs, references


def last_terms(records: list[Record], kind: str) -> dict[str, float]:
    """Means of each term over the last records of one kind."""
    last = [record["terms"] for record in records if record["kind"] == kind][-LAST[kind] :]
    return {name: statistics.mean(terms[name] for terms in last) for name in last[0]}


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text."""
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def measured(runs: dict[str, Run], references: dict[str, Summary]) -> Iterator[str]:
    """Every figure of every run, as `jqc evaluate` tells them."""
    rows = [(name, summary, "") for name, summary in references.items()]
    rows += [(name, run.summary, f"{run.steps} / {run.seconds / 60:.0f}") for name, run in runs.items()]
    for title, columns in TABLES.items():
        header = [title, *(f"{each.name} {each.unit}".strip() for each in columns), "steps / minutes"]
        yield markdown(header, [[name, *(c.cell(summary) for c in columns), cost] for name, summary, cost in rows])


def pairs(runs: dict[str, Run], arm: str) -> dict[str, list[tuple[Run, Run]]]:
    """Runs of an arm and those of the first arm with the same seed, by architecture; controls are left out."""
    found: dict[str, list[tuple[Run, Run]]] = {}
    equal = [run for name, run in runs.items() if name == f"{run.architecture}-{run.loss}-{run.seed}"]
    first = {(run.architecture, run.seed): run for run in equal if run.loss == next(iter(ARMS))}
    for run in equal:
        start = first.get((run.architecture, run.seed))
        if run.loss == arm and start is not None:
            found.setdefault(run.architecture, []).append((run, start))
    return found


def gained(runs: dict[str, Run]) -> Iterator[str]:
    """What each arm changes: by architecture as a mean over seeds (and their spread), and over architectures."""
    for arm in list(ARMS)[1:]:
        compared, rows = pairs(runs, arm), []
        for name, value in GAINS.items():
            changes = [
                [value(run.summary) / value(start.summary) - 1 for run, start in each] for each in compared.values()
            ]
            cells = [_percent(each) for each in changes]
            rows.append([name, *cells, _percent([statistics.mean(each) for each in changes])])
        yield markdown([f"{ARMS[arm]} against {ARMS['e-rho']}, %", *compared, "all"], rows)


def alike(runs: dict[str, Run]) -> str:
    """Whether arms are wrong about the same molecules: correlations of their signed energy errors."""
    compared = {arm: pairs(runs, arm) for arm in list(ARMS)[1:]}
    architectures = list(dict.fromkeys(name for each in compared.values() for name in each))
    rows = []
    for arm, found in compared.items():
        cells = [[correlation(run, start) for run, start in found.get(name, [])] for name in architectures]
        rows.append([ARMS[arm], *(f"{statistics.mean(each):.2f}" if each else "–" for each in cells)])
    return markdown([f"correlation of energy errors with those of {ARMS['e-rho']}", *architectures], rows)


def composed(path: Path) -> Iterator[str]:
    """What energy errors are made of, if parts.py has measured it: mean magnitude, and mean, of each part."""
    if not path.exists():
        return
    names = {"functional": "functional", "quadrature": "quadrature", "relaxation": "density", "total": "all"}
    rows = [
        [run, *(f"{means[f'{part}_mean_magnitude']:.2f} ({means[f'{part}_mean']:+.2f})" for part in names)]
        for run, means in json.loads(path.read_text())["summary"].items()
    ]
    yield markdown(["parts of energy errors, mEh", *names.values()], rows)


def correlation(run: Run, other: Run) -> float:
    """Of energy errors, over molecules that have both."""
    both = run.energy_errors.keys() & other.energy_errors.keys()
    return statistics.correlation(
        [run.energy_errors[name] for name in both], [other.energy_errors[name] for name in both]
    )


def _percent(values: list[float]) -> str:
    """A mean, with the standard deviation where there are several."""
    if not values:
        return "–"
    spread = f" ± {100 * statistics.stdev(values):.0f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):+.0f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder that holds runs/")
    parser.add_argument("results", type=Path, help="folder of distill.md and distill.json")
    parser.add_argument("--data", default="test", help="labels that the runs were evaluated on")
    options = parser.parse_args()
    runs, references = runs_of(options.study, options.data)
    content = {"runs": {name: vars(run) for name, run in runs.items()}, "references": references}
    write_json(options.results / "distill.json", content)
    page = options.results / "distill.md"
    parts = composed(options.results / "parts.json")
    tables = [*gained(runs), alike(runs), *parts, *measured(runs, references)]
    body = "\n\n".join(["<!-- study -->", *tables, "<!-- end -->"])
    page.write_text(re.sub(r"<!-- study -->.*?<!-- end -->", lambda _: body, page.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
