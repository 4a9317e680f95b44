"""The distillation study: architectures × losses × seeds, each trained with the same budget and evaluated alike.

python benchmarks/distill/molecules.py --out STUDY/molecules
for part in train validation test; do
    jqc label STUDY/molecules/$part.xyz --out STUDY/labels/$part --grid-level 1 --workers 2
done
python benchmarks/distill/run.py --study STUDY --workers 2 --limit 24
python benchmarks/distill/table.py STUDY docs/results

Every run is a folder STUDY/runs/ARCHITECTURE-LOSS-SEED (of controls: and what differs) that `jqc distill` makes and
`jqc evaluate` measures. Whatever is done is left alone, whatever was stopped goes on: the study may be cut anywhere and
started again.
"""

import argparse
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = ("xcdiff", "nn-mgga", "skala-mgga", "eg-xc")
LOSSES = ("e-rho", "e-rho-grad", "e-rho-grad-hess")
SEEDS = {"xcdiff": (0, 1, 2)}
"""Of architectures with more than one."""

STEPS = 3000
"""Of every run; with two examples a step, 5 epochs of the training molecules."""

FEW = 30
"""Training labels of a control."""

COMPILING = "--xla_cpu_use_fusion_emitters=false"
"""Flags of XLA for evaluations, which mostly compile (docs/performance.md); training is faster without."""

CONFIG = """\
data = "{study}/labels/{labels}"
validation = "{study}/labels/validation"
model = "{architecture}"

[loss]
name = "{loss}"
{weights}

[training]
steps = {steps}
batch_size = 2
optimizer = "soap"
learning_rate = 5e-3
warmup = {warmup}
decay = 0.01
ema = 0.99
clip = 1.0
log_every = 50
validate_every = {validate_every}
checkpoint_every = 200
seed = {seed}
"""


@dataclass(frozen=True)
class Piece:
    """One run of the study."""

    architecture: str
    loss: str
    seed: int
    steps: int
    control: str = ""
    weights: str = ""
    labels: str = "train"

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.architecture}-{self.loss}-{self.seed}{self.control and '-' + self.control}"


def pieces(steps: int) -> Iterator[Piece]:
    """All runs, first seeds first, controls last."""
    for seed in sorted({0, *itertools.chain(*SEEDS.values())}):
        for architecture, loss in itertools.product(ARCHITECTURES, LOSSES):
            if seed in SEEDS.get(architecture, (0,)):
                yield Piece(architecture, loss, seed, steps)
    yield from controls(steps)


def controls(steps: int) -> Iterator[Piece]:
    """What else might explain the study's figures, or better them."""
    # What more steps would change, of the plain loss in the time of DI-Loss.
    for loss in LOSSES[:2]:
        yield Piece("xcdiff", loss, 0, 3 * steps, "longer")
    # The density's term is one of first derivatives already: energies alone.
    yield Piece("xcdiff", "e-rho", 0, steps, "bare", "density = 0")
    # At the end the Hessian weighs six times as much as the energy, where the default weighs as much.
    for architecture in ARCHITECTURES[:2]:
        yield Piece(architecture, "e-rho-grad-hess", 0, steps, "heavy", "hessian = 1.0")
    # The energy is that at self-consistency, to second order; or the density is there, in fewer, dearer steps.
    yield Piece("xcdiff", "e-rho-grad", 0, steps, "relaxed", "relaxed = true")
    yield Piece("xcdiff", "scf", 0, max(1, steps // 20))
    # Derivatives say more of each molecule: few of them.
    for loss in LOSSES:
        yield Piece("xcdiff", loss, 0, steps, "few", labels=f"train-{FEW}")


def keep_few(study: Path) -> None:
    """A store with `FEW` of the training labels, evenly chosen and linked, once and for all."""
    source, target = study / "labels" / "train", study / "labels" / f"train-{FEW}"
    target.mkdir(exist_ok=True)
    if len([*target.glob("*.h5")]) == FEW:
        return
    labels = sorted(source.glob("*.h5"))
    for path in (source / "store.json", *(labels[len(labels) * k // FEW] for k in range(FEW))):
        if not (target / path.name).exists():
            (target / path.name).hardlink_to(path)


def jqc(*arguments: str | Path, threads: int, log: Path, flags: str = "") -> int:
    """A command of jqc's with its own share of the cores; its output is added to a file."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "NPROC": str(threads), "XLA_FLAGS": flags}
    command = [sys.executable, "-m", "jqc.cli.main", *map(str, arguments)]
    with log.open("a") as output:
        return subprocess.run(command, env=environment, stdout=output, stderr=output).returncode


def train_and_evaluate(piece: Piece, study: Path, limit: int | None, threads: int) -> str:
    """Both commands of one run; says how they ended."""
    folder = study / "runs" / piece.name
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "run.toml", folder / "log.txt"
    rhythm = {"warmup": piece.steps // 50, "validate_every": max(1, piece.steps // 10)}
    config.write_text(CONFIG.format(study=study, **vars(piece), **rhythm))
    if code := jqc("distill", config, "--out", folder, threads=threads, log=log):  # at once, where it is done
        return f"{piece.name}: training ended with code {code}, see {log}"
    chosen = () if limit is None else ("--limit", str(limit))
    test = study / "labels" / "test"
    code = jqc("evaluate", folder, "--data", test, *chosen, threads=threads, log=log, flags=COMPILING)
    return f"{piece.name}: evaluated" if code in (0, 3) else f"{piece.name}: evaluation ended with code {code}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True, help="folder that holds labels/ and gets runs/")
    parser.add_argument("--only", default="", help="runs whose name this regular expression finds")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--limit", type=int, help="test molecules at most")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--quick", action="store_true", help="a few steps and molecules, to see that all of it works")
    options = parser.parse_args()
    steps, limit = (8, 3) if options.quick else (options.steps, options.limit)
    threads = max(1, (os.cpu_count() or 1) // options.workers)
    study = options.study.resolve()
    keep_few(study)
    with ThreadPoolExecutor(options.workers) as pool:
        jobs = [
            pool.submit(train_and_evaluate, piece, study, limit, threads)
            for piece in pieces(steps)
            if re.search(options.only, piece.name)
        ]
        for job in jobs:
            print(job.result(), flush=True)


if __name__ == "__main__":
    main()
