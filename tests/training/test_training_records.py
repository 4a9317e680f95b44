"""Lines of metrics.jsonl, and what is shown of them."""

import io

import pytest
from rich.console import Console

from jqc.errors import TrainingError
from jqc.files import finite
from jqc.training import live_table, read_records
from jqc.training.records import append, records_until

TRAINING = {
    "kind": "training",
    "step": 10,
    "loss": None,
    "terms": {"energy": 0.5},
    "gradient_norm": 2.0,
    "learning_rate": 1e-3,
    "skipped": 2,
    "seconds": 1.0,
}
VALIDATION = {"kind": "validation", "step": 20, "loss": 0.25, "terms": {"energy": 0.125}, "seconds": 2.0}


def test_records_come_back_and_those_past_a_step_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for record in (TRAINING, VALIDATION):
        append(path, record)
    whole = path.read_bytes()
    assert read_records(path) == [TRAINING, VALIDATION]
    path.write_bytes(whole + b'{"kind": "trai')
    assert records_until(path, 20) == [TRAINING, VALIDATION]
    assert path.read_bytes() == whole
    assert records_until(path, 19) == [TRAINING] == read_records(path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize("line", ["{", "[1]", '{"step": 1}', "\x00", "null"])
def test_damaged_lines_are_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    append(path, VALIDATION)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(TrainingError, match=r"metrics\.jsonl is damaged in line 2; delete"):
        read_records(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.jsonl cannot be read \(no such file"):
        read_records(tmp_path / "none.jsonl")


def test_json_gets_no_infinity():
    assert finite({"a": float("inf"), "b": {"c": float("nan"), "d": 1.0}}) == {"a": None, "b": {"c": None, "d": 1.0}}


@pytest.mark.parametrize("terminal", [True, False])
def test_records_are_shown_in_terminals_and_elsewhere(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    with live_table(console) as progress:
        for record in (TRAINING, VALIDATION):
            progress(record)
    text = console.file.getvalue()
    for shown in ("not finite", "5.0000e-01", "2.0000e+00", "1.0000e-03", "2.5000e-01", "1.2500e-01", "energy", "20"):
        assert shown in text
    assert ("\x1b" in text) == terminal
    if not terminal:
        assert text.count("\n") == 2


def test_only_what_a_record_has_no_key_for_is_left_blank():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with live_table(console) as progress:
        progress(VALIDATION | {"loss": None, "terms": {"energy": None}})
    drawn = console.file.getvalue()
    assert drawn[drawn.rindex("validation") :].count("not finite") == 2
