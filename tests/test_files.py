"""Output files are checked, then written whole or not at all."""

import os
from pathlib import Path

import pytest

from jqc.errors import InputError
from jqc.files import writable, write_atomically


def test_replaces_the_file_behind_a_link(tmp_path):
    (tmp_path / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    write_atomically(writable(link), b"new")
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


def test_checking_leaves_nothing_behind(tmp_path):
    assert writable(tmp_path / "a.json") == tmp_path / "a.json"
    assert list(tmp_path.iterdir()) == []


def test_refuses_what_cannot_be_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for path in (
        tmp_path,
        tmp_path / "missing" / "a.json",
        tmp_path / "file" / "a.json",
        tmp_path / ("a" * 300),
        tmp_path / "loop",
        Path("/dev/null"),
        Path("/proc/a.json"),
    ):
        with pytest.raises(InputError, match="cannot be written"):
            writable(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_refuses_protected_files_and_folders(tmp_path):
    protected = tmp_path / "protected.json"
    protected.write_text("keep")
    protected.chmod(0o444)
    with pytest.raises(InputError, match="write-protected"):
        writable(protected)
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="permission denied"):
        writable(tmp_path / "new.json")


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path, full_disk):
    path = tmp_path / "result.json"
    path.write_text("old")
    with full_disk(room=1000), pytest.raises(InputError, match=r"cannot be written .file too large"):
        write_atomically(path, bytes(5000))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
