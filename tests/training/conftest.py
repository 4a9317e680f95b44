"""What tests of training share."""

import signal

import pytest


@pytest.fixture(autouse=True)
def interrupts_arrive():
    """A shell's background job ignores SIGINT, and so would tests of interrupts that it runs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
