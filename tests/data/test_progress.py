"""What a long job says about itself."""

import os
import pty
import re
import subprocess
import sys

from jqc.data import progress, with_progress


def test_plain_lines_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    assert list(with_progress(iter(range(3)), 3, "labels")) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"labels: 1/3, [\d.]+/(s|min), \d+:\d\d:\d\d left", lines[0])
    assert re.fullmatch(r"labels: 3/3, [\d.]+/(s|min) in 0:00:00", lines[2])


def test_one_line_of_a_short_job(capsys):
    assert list(with_progress("ab", 2, "labels")) == ["a", "b"]
    assert capsys.readouterr().err.count("\n") == 1


def test_slow_rates_and_long_times():
    assert (progress._per_second(2.0), progress._per_second(0.05)) == ("2.0/s", "3.0/min")
    assert (progress._clock(59.6), progress._clock(3 * 3600 + 62)) == ("0:01:00", "3:01:02")


def test_a_bar_on_a_terminal():
    ours, theirs = pty.openpty()
    code = "from jqc.data import with_progress; print(list(with_progress('abc', 3, 'labels')))"
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.stdout == "['a', 'b', 'c']\n"
    assert "labels" in shown
    assert "3/3" in shown
