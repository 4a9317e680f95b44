"""What benchmarks share: where figures come from, peak memory, and workers that are processes of their own."""

import json
import os
import platform
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
    """High-water mark of this program; what getrusage tells is never below the parent's size at the fork."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


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


def read_rows(path: Path | None, *keys: str) -> dict[tuple, dict]:
    """Rows that an earlier run wrote, by what identifies them."""
    if path is None or not path.exists():
        return {}
    return {tuple(row[key] for key in keys): row for row in json.loads(path.read_text())["rows"]}
