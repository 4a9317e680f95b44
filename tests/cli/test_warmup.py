"""`jqc warmup`: what it compiles, later commands find."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jqc.cli.main import run

QUICK = ("--basis", "sto-3g", "--grid-level", "0", "--xc", "slater")

COUNTING = """
import json, sys
from jqc.cli.main import run
from jqc.programs import counted
with counted() as programs:
    assert run(sys.argv[1:]) == 0
print(json.dumps({"compiled": programs.compiled, "found": programs.found}))
"""


@pytest.fixture
def molecules(tmp_path) -> Path:
    """Three geometries of water, and its cation."""
    frame = "3\n{}\nO 0 0 0.12\nH 0 {} -0.48\nH 0 -0.76 -0.48\n"
    path = tmp_path / "water.xyz"
    path.write_text("".join(frame.format("", y) for y in (0.76, 0.77, 0.78)) + frame.format("charge=1 spin=1", 0.76))
    return path


@pytest.fixture
def counted_run(tmp_path):
    """A command in a process of its own, with a cache that was empty: what it compiles, what it finds, what it says."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }

    def start(*arguments: str) -> dict:
        command = [sys.executable, "-c", COUNTING, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        *said, counts = done.stdout.splitlines()
        return json.loads(counts) | {"said": "\n".join(said)}

    return start


def test_labels_find_every_program(molecules, tmp_path, counted_run):
    arguments = (str(molecules), *QUICK, "--derivatives", "1")
    first, again = counted_run("warmup", *arguments), counted_run("warmup", *arguments)
    assert first["compiled"] > 0
    assert again["compiled"] == 0
    assert again["found"] > 0
    assert f"2 kinds of molecules: {first['compiled']} programs compiled" in first["said"]
    assert re.search(r"^ +1 +4 ", first["said"], re.MULTILINE)  # one class of four molecules
    label = counted_run("label", *arguments, "--out", str(tmp_path / "labels"))
    assert label["compiled"] == 0
    assert label["found"] > 0


def test_scf_finds_every_program(molecules, counted_run):
    assert counted_run("warmup", str(molecules), "--task", "scf", *QUICK)["compiled"] > 0
    scf = counted_run("scf", str(molecules), *QUICK)
    assert scf["compiled"] == 0
    assert scf["found"] > 0


def test_bad_input(molecules, tmp_path, capsys):
    for words, arguments in {
        "no such file": [str(tmp_path / "none.xyz")],
        "b3lip": [str(molecules), "--xc", "b3lip"],
        "unknown basis": [str(molecules), "--basis", "sto-3"],
        "grid level 77": [str(molecules), "--grid-level", "77"],
    }.items():
        assert run(["warmup", *arguments]) == 2
        assert words in capsys.readouterr().err
