"""JAX's persistent compilation cache in the user's cache folder: a program is compiled once per machine."""

import hashlib
import os
import platform
import warnings
from contextlib import suppress
from pathlib import Path


def use_compilation_cache() -> None:
    """Turn the cache on for this process; JAX's own environment variables have the last word.

    `JAX_COMPILATION_CACHE_DIR` moves it, `JAX_ENABLE_COMPILATION_CACHE=false` switches it off. Where no
    folder can be made, programs are compiled anew.
    """
    import jax

    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = cache_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(folder))


def cache_folder() -> Path:
    """Where compiled programs are kept: `jqc` in `$XDG_CACHE_HOME` or ~/.cache, a folder per processor type.

    Compiled code uses the instructions of the processor it was made on, so machines that share a home must
    not share it.
    """
    if given := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(home) if os.path.isabs(home) else Path(os.path.expanduser("~")) / ".cache"
    return root / "jqc" / _processor()


def cache_size(folder: Path) -> int:
    """Bytes of all files in the folder."""
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file()) if folder.is_dir() else 0


def _processor() -> str:
    """Architecture and a digest of the instruction sets, where the system tells them."""
    features = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), features)
    return f"{platform.machine() or 'unknown'}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"
