"""Put a study's functionals into the package: those trained with all of DI-Loss, seed 0, and what is known of them.

python benchmarks/distill/ship.py STUDY

Writes jqc/xc/neural/weights/ARCHITECTURE.npz, which jqc-ARCHITECTURE names, of those that are evaluated.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from jqc.xc.neural.architectures import ARCHITECTURES
from jqc.xc.neural.files import load, read_provenance, save
from jqc.xc.neural.stored import RUN_FILE, WEIGHTS

MEASURED = Path("evaluation", "test.json")
"""What an evaluation on the test labels leaves in a run's folder."""

COMMANDS = (
    "python benchmarks/distill/molecules.py --out STUDY/molecules --seed 0",
    "jqc label STUDY/molecules/train.xyz --out STUDY/labels/train --grid-level 1",
    "jqc label STUDY/molecules/validation.xyz --out STUDY/labels/validation --grid-level 1",
    "jqc label STUDY/molecules/test.xyz --out STUDY/labels/test --grid-level 1",
    "python benchmarks/distill/run.py --study STUDY --limit 24 --only '^{run}$'",
    "python benchmarks/distill/ship.py STUDY",
)
"""What makes a functional from nothing."""


def about(folder: Path, study: Path) -> dict[str, Any]:
    """A run's provenance with paths inside the study, the commands that repeat it, and what it was measured to be."""
    known = read_provenance(folder / RUN_FILE)
    config = known["config"]
    for name in ("data", "validation"):
        config[name] = Path(config[name]).relative_to(study).as_posix()
    measured = json.loads((folder / MEASURED).read_text())
    summary = measured["functionals"][measured["functional"]]["summary"]
    return known | {
        "commands": [each.format(run=folder.name) for each in COMMANDS],
        "test": {"labels_sha256": measured["data"]["sha256"], "summary": summary},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder that holds runs/")
    study = parser.parse_args().study.resolve()
    WEIGHTS.mkdir(exist_ok=True)
    for architecture in ARCHITECTURES:
        folder = study / "runs" / f"{architecture}-e-rho-grad-hess-0"
        if not (folder / MEASURED).exists():
            print(f"{folder} is not evaluated yet, and not shipped")
            continue
        save(WEIGHTS / f"{architecture}.npz", load(folder / RUN_FILE), about(folder, study))
        print(WEIGHTS / f"{architecture}.npz")


if __name__ == "__main__":
    main()
