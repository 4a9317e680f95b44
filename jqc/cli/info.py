"""`jqc info`: versions, devices, precision and the compilation cache, for bug reports."""

import hashlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGES = ("jax", "jaxlib", "numpy", "pyscf", "h5py")
"""Packages whose version may change a number."""


def versions() -> dict[str, str]:
    """Versions of jqc, Python and the packages that compute, without importing them.

    >>> sorted(versions())[:2]
    ['h5py', 'jax']
    """
    import jqc

    found = {"jqc": jqc.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def installation() -> dict[str, str]:
    """Versions, and a digest of jqc's own source: processes that agree in all of it compute the same.

    Found once: a process that has run for days is what it was, whatever is installed in the meantime.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return versions() | {"source": digest.hexdigest()[:12]}


@dataclass(frozen=True)
class InfoCommand:
    """Print versions, devices, precision and the compilation cache."""

    def run(self) -> int:
        """Print one `name: value` line each."""
        for name, value in {**versions(), **_environment()}.items():
            print(f"{name + ':':<12} {value}")
        return 0


def _environment() -> dict[str, str]:
    """What the machine offers, and where compiled programs are kept."""
    import jax

    from jqc.cli.cache import cache_folder, cache_size, use_compilation_cache

    jax.config.update("jax_enable_x64", True)
    use_compilation_cache()
    folder = cache_folder()
    return {
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "devices": ", ".join(f"{device.platform}:{device.id} ({device.device_kind})" for device in jax.devices()),
        "precision": str(jax.numpy.zeros(()).dtype),
        "cache": f"{folder} ({cache_size(folder) / 1e6:.1f} MB)",
    }
