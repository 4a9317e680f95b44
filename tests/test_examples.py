"""Examples run as a user would run them; demo.py, which takes minutes, is the exception (`make demo`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_own_functional():
    """Half the error is asked for, and what is left differs from that by the curvature in the parameters alone."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = ROOT / "examples" / "own_functional.py"
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    before, after = map(float, re.findall(r"by (-?\d+\.\d+) Eh", done.stdout))
    assert after == pytest.approx(before / 2, rel=0.05)
