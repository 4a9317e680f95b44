"""Named stages: every second is counted once, under the innermost name."""

import threading

import pytest

from jqc import timing
from jqc.timing import stage, stages


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    fake = Clock()
    monkeypatch.setattr(timing, "time", fake)
    return fake


def test_stages_are_added_up_by_name(clock):
    with stages() as seconds:
        for _ in range(3):
            with stage("grid"):
                clock.now += 2.0
    assert seconds == {"grid": 6.0}


def test_inner_stages_count_alone(clock):
    with stages() as seconds, stage("outer"):
        clock.now += 1.0
        with stage("inner"):
            clock.now += 10.0
        clock.now += 2.0
    assert seconds == {"outer": 3.0, "inner": 10.0}


def test_stage_within_itself(clock):
    with stages() as seconds, stage("a"):
        clock.now += 1.0
        with stage("a"):
            clock.now += 4.0
    assert seconds == {"a": 5.0}


def test_time_before_an_error_counts(clock):
    with stages() as seconds, pytest.raises(KeyError), stage("grid"):  # noqa: PT012
        clock.now += 1.5
        raise KeyError
    assert seconds == {"grid": 1.5}


def test_nobody_counts():
    with stage("grid"):
        pass


def test_collectors_are_apart(clock):
    with stages() as first:
        with stage("a"):
            clock.now += 1.0
        with stages() as second, stage("b"):
            clock.now += 1.0
        with stage("c"):
            clock.now += 1.0
    assert first == {"a": 1.0, "c": 1.0}
    assert second == {"b": 1.0}


def test_threads_are_apart():
    def work():
        with stage("elsewhere"):
            pass

    with stages() as seconds:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert "elsewhere" not in seconds
