"""What benchmarks share: where figures come from, peak memory, and workers that are processes of their own."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any


def environment(threads: int | None = None, dtype: str = "float64") -> dict[str, Any]:
    """Commit, machine, number format, date and versions."""
    here = Path(__file__).parent
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=here).stdout.strip()
    return {
        "commit": commit,
        "machine": _processor(),
        "threads": threads or len(os.sched_getaffinity(0)),
        "dtype": dtype,
        "date": time.strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in ("jax", "jaxlib", "pyscf", "numpy")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def peak_gb() -> float:
    """Peak resident memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def in_process(script: str, *arguments: object) -> dict[str, Any]:
    """What `script --worker ARGUMENTS` prints as JSON on its last line, run in a process of its own.

    An error of the worker ends the benchmark with its last words.
    """
    command = [sys.executable, script, "--worker", *map(str, arguments)]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Write results, the whole file or nothing."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(json.dumps(results, indent=1) + "\n")
    unfinished.replace(path)


def read_rows(path: Path | None, *keys: str) -> dict[tuple, dict]:
    """Rows that an earlier run wrote, by what identifies them."""
    if path is None or not path.exists():
        return {}
    return {tuple(row[key] for key in keys): row for row in json.loads(path.read_text())["rows"]}
