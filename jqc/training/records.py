"""The measurements of a run: one JSON object a line, in the order in which they were made.

    {"kind": "training", "step": 20, "loss": …, "terms": {…}, "gradient_norm": …, "learning_rate": …, "skipped": 0, …}
    {"kind": "validation", "step": 100, "loss": …, "terms": {…}, "seconds": …}

A training record holds means over the finite steps since the one before, and the learning rate of its last step; a
validation record means over all validation examples. What is not finite becomes null. `seconds` is time in training
steps.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jqc.errors import TrainingError, refusal
from jqc.files import write_atomically

Record = dict[str, Any]
"""A line of metrics.jsonl."""

Progress = Callable[[Record], None]
"""Called with every record."""


def append(path: Path, record: Record) -> None:
    """Add a line in one piece.

    Raises:
        TrainingError: the file cannot be written.
    """
    try:
        with path.open("ab") as file:
            file.write(_line(record))
    except OSError as error:
        raise unwritable(path, error) from None


def settle(path: Path) -> None:
    """Wait until all lines are on the disk.

    Raises:
        TrainingError: they cannot be written.
    """
    try:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    except FileNotFoundError:  # no record so far
        pass
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> TrainingError:
    """The end of a run whose file cannot be written, which loses only what came after the last checkpoint."""
    return TrainingError(f"{path} cannot be written ({refusal(error)}); free it, and the run goes on.")


def read_records(path: Path) -> list[Record]:
    """Records of a run; a last line without an end is one that was being written when the run was killed.

    Raises:
        TrainingError: the file cannot be read, or a line is no record.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        reason = refusal(error)
        raise TrainingError(f"{path} cannot be read ({reason}); give the metrics.jsonl of a run.") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not (isinstance(record, dict) and {"kind", "step"} <= record.keys()):
            raise TrainingError(f"{path} is damaged in line {number}; delete the line, or the run's folder.")
        records.append(record)
    return records


def records_until(path: Path, step: int) -> list[Record]:
    """Records up to a step; later ones, and an unfinished line, are dropped from the file."""
    kept = [record for record in read_records(path) if record["step"] <= step] if path.exists() else []
    content = b"".join(map(_line, kept))
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content)
    return kept


def _line(record: Record) -> bytes:
    return (json.dumps(record, allow_nan=False) + "\n").encode()
