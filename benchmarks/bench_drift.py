"""Drift of the energy at constant energy: an SCF water molecule and Lennard-Jones argon, over 2 ps and more.

The drift is the slope of a straight line through the total energy of all frames, over the mean kinetic energy, per
picosecond; its error is that of the slope, from the scatter of quarters of the trajectory.

    python benchmarks/bench_drift.py --runs build/drift --json docs/results/bench_drift.json
    python benchmarks/bench_drift.py --quick

Runs go on where they were stopped, in the folder of `--runs`.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
from measuring import environment, read_rows

from jqc.files import write_json
from jqc.md.config import MdConfig
from jqc.md.job import run
from jqc.md.trajectory import Trajectory, read
from jqc.process import keep_freed_memory
from jqc.units import FEMTOSECOND

WATER = Path(__file__).parents[1] / "examples" / "molecules" / "water.xyz"

SCF: dict[str, Any] = {"kind": "scf", "xc": "pbe", "basis": "def2-svp", "grid_level": 1}
ARGON: dict[str, Any] = {"kind": "lennard-jones", "epsilon": 0.0104, "sigma": 3.4, "cutoff": 8.5}

CASES: dict[str, dict[str, Any]] = {
    "water, PBE": {"potential": SCF, "dt": 0.25, "temperature": 300.0, "ps": 2.0, "stride": 8},
    "argon, 512 atoms": {"potential": ARGON, "dt": 2.0, "temperature": 90.0, "ps": 20.0, "stride": 5},
}
"""Potential, time step in fs, K of the first momenta, length, and steps between frames."""


def argon(folder: Path) -> Path:
    """512 atoms on a lattice at the density of the liquid."""
    edge = 8 * 3.66
    places = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * edge / 8
    path = folder / "argon.xyz"
    lines = "".join(f"Ar {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in places)
    lattice = f'Lattice="{edge} 0 0 0 {edge} 0 0 0 {edge}"'
    path.write_text(f'512\n{lattice} Properties=species:S:1:pos:R:3 pbc="T T T"\n{lines}')
    return path


def drift(trajectory: Trajectory) -> tuple[float, float]:
    """Slope of the conserved energy over the mean kinetic one, per ps, and its error from quarters."""
    energy = np.asarray(trajectory.frames.conserved) / float(np.mean(trajectory.frames.kinetic))
    times = np.asarray(trajectory.times) * FEMTOSECOND * 1e-3
    slope = lambda part: np.polyfit(times[part], energy[part], 1)[0]  # noqa: E731
    # Around the line through all, a quarter's own slope has 4^{3/2} times the error of the whole one's.
    quarters = [slope(part) for part in np.array_split(np.arange(len(times)), 4)]
    return float(slope(slice(None))), float(np.std(quarters, ddof=1) / 8)


def measured(name: str, folder: Path, shorter: float) -> dict:
    """A row; the part of a run that is in the folder already is not timed."""
    case = CASES[name]
    stride = case["stride"]
    steps = round(case["ps"] * 1e3 / case["dt"] / shorter / stride) * stride
    file = WATER if case["potential"]["kind"] == "scf" else argon(folder)
    config = MdConfig(str(file), steps, case["dt"], case["temperature"], stride, 25, potential=dict(case["potential"]))
    begun, told = time.perf_counter(), []

    def tell(progress) -> None:
        told.append((progress.step, time.perf_counter()))
        print(f"{name}: step {progress.step} of {steps}, {time.perf_counter() - begun:.0f} s", flush=True)

    out = folder / name.split(",")[0]
    run(config, out, tell)
    found, error = drift(trajectory := read(out))
    speed = (told[-1][0] - told[0][0]) / (told[-1][1] - told[0][1]) if len(told) > 1 else None
    return {
        "system": name,
        "dt_fs": case["dt"],
        "ps": steps * case["dt"] * 1e-3,
        "drift_per_ps": found,
        "error": error,
        "largest_change": float(np.ptp(trajectory.frames.conserved) / np.mean(trajectory.frames.kinetic)),
        "steps_per_s": speed,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a hundredth of the length; under two minutes")
    parser.add_argument("--json", type=Path, help="write the rows here; rows that are there stay")
    parser.add_argument("--runs", type=Path, help="folder of the runs, which go on where they were; else a passing one")
    parser.add_argument("--systems", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    keep_freed_memory()
    rows = read_rows(options.json, "system")
    with tempfile.TemporaryDirectory() as passing:
        folder = options.runs or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.systems:
            if (name,) not in rows:
                rows[name,] = measured(name, folder, 100 if options.quick else 1)
            print(json.dumps(rows[name,], indent=1), flush=True)
            if options.json:
                write_json(options.json, {"environment": environment(), "rows": list(rows.values())})


if __name__ == "__main__":
    main()
