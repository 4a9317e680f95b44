"""Examples run as a user would run them; demo.py, which takes minutes, is the exception (`make demo`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def printed(name: str, **environment: str) -> str:
    """What an example says."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    script = ROOT / "examples" / name
    return subprocess.run([sys.executable, script], env=variables, capture_output=True, text=True, check=True).stdout


def test_own_functional():
    """Half the error is asked for, and what is left differs from that by the curvature in the parameters alone."""
    before, after = map(float, re.findall(r"by (-?\d+\.\d+) Eh", printed("own_functional.py")))
    assert after == pytest.approx(before / 2, rel=0.05)


def test_pair_potential():
    """Three steps of each way from (0.7, 1.06, 9.6): the diameter, which g(r) shows best, nears 1."""
    rows = [line.split() for line in printed("pair_potential.py", SMOKE="1").splitlines()[1:4]]
    assert [row[0] for row in rows] == ["checkpointed", "adjoint", "reweighted"]
    for _, epsilon, sigma, exponent, _ in rows:
        assert 0.6 < float(epsilon) < 0.8
        assert 1.0 < float(sigma) < 1.06
        assert 9 < float(exponent) < 11
