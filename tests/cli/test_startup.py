"""Help and usage errors load nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from jqc.cli.main import run
try:
    run(sys.argv[1:])
except SystemExit as end:
    heavy = {"jax", "jaxlib", "pyscf", "pyscfad", "numpy", "scipy", "ase", "h5py", "flax", "e3x", "matplotlib"}
    print("code", end.code, "heavy", *sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["scf", "--help"], 0),
        (["excite", "--help"], 0),
        (["info", "--help"], 0),
        (["scf", "a.xyz", "--xcc", "pbe"], 2),
    ],
)
def test_help_and_usage_errors_import_nothing_heavy(arguments, code):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"code {code} heavy"
