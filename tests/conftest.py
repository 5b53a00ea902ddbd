"""Settings that all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadlines: a loaded machine is no fault of a parser. In CI the examples are the same every time; the nightly run
# (make nightly) draws ten times as many, other ones each time.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.register_profile("nightly", settings.get_profile("default"), max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


# Servers of tests are on this machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Downloads do not wait between attempts; the list gets the seconds that they would have waited."""
    seconds: list[float] = []
    monkeypatch.setattr("amlprognosis.retrieve.web.pause", lambda wait, stop: seconds.append(wait))
    return seconds
