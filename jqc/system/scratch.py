"""A table of numbers in a file without a name: gone with the last who holds it, whatever ends the process."""

import os
import tempfile

import numpy as np

from jqc.errors import MemoryLimitError, refusal
from jqc.typing import Float


class Scratch:
    """Rows of float64 on disk, written by columns and read by rows, in the folder that TMPDIR names.

    Reads and writes pass through the system's cache, so that a table that fits the free memory is read at its speed,
    without being counted as the process's own.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.shape = (n_rows, n_columns)
        size = 8 * n_rows * n_columns
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this lives
        try:
            os.posix_fallocate(self._file.fileno(), 0, max(size, 1))
        except OSError as error:
            self._file.close()
            raise MemoryLimitError(
                f"{size / 2**30:.1f} GiB of integrals find no room in {tempfile.gettempdir()} ({refusal(error)}); set "
                "TMPDIR to a folder with more, or grant more memory."
            ) from None

    def write(self, column: int, block: Float[np.ndarray, "row column"]) -> None:
        """Columns from `column` on, of the leading rows."""
        for row, numbers in enumerate(np.ascontiguousarray(block)):
            os.pwrite(self._file.fileno(), numbers.tobytes(), 8 * (row * self.shape[1] + column))

    def rows(self, first: int, count: int) -> Float[np.ndarray, "row column"]:
        """Rows from `first` on; what was never written is zero."""
        found = np.empty((count, self.shape[1]))
        view, offset = memoryview(found).cast("B"), 8 * first * self.shape[1]  # pyright: ignore[reportArgumentType]
        while view:
            length = os.preadv(self._file.fileno(), [view], offset)
            if not length:
                raise EOFError(f"rows {first} to {first + count} of {self.shape[0]}")
            view, offset = view[length:], offset + length
        return found

    def close(self) -> None:
        """Give the room back."""
        self._file.close()
