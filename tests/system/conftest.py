"""What tests of the system layer share."""

import pytest

from jqc.system import grid


@pytest.fixture(scope="module")
def small_blocks():
    """Enough blocks for several groups, on a grid that is cheap."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "block_size", lambda n_ao: 256)
        yield
