"""`jqc info`."""

import jax
import pytest

import jqc
from jqc.cli.cache import cache_folder, cache_size
from jqc.cli.main import run


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch, tmp_path):
    """Precision and environment as they were, and a cache of one's own."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    before = jax.config.read("jax_enable_x64")
    yield
    jax.config.update("jax_enable_x64", before)


def test_prints_versions_devices_and_precision(capsys, tmp_path):
    assert run(["info"]) == 0
    output, errors = capsys.readouterr()
    lines = dict(line.split(":", 1) for line in output.splitlines())
    assert errors == ""
    assert lines["jqc"].strip() == jqc.__version__
    assert lines["jax"].strip() == jax.__version__
    assert lines["precision"].strip() == "float64"
    assert jax.devices()[0].platform in lines["devices"]
    assert lines["cache"].strip() == f"{tmp_path / 'cache'} (0.0 MB)"
    assert {"python", "jaxlib", "numpy", "pyscf", "platform"} <= set(lines)


def test_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().parent == tmp_path / "jqc"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder().parent == tmp_path / ".cache" / "jqc"


def test_cache_size_counts_every_file(tmp_path):
    assert cache_size(tmp_path / "missing") == 0
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "program").write_bytes(b"1234")
    (tmp_path / "other").write_bytes(b"12")
    assert cache_size(tmp_path) == 6
