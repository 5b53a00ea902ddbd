from __future__ import annotations

import pytest
from evaluation_helpers import make_world


@pytest.fixture(scope="session")
def world():
    """Ninety patients, 60 genes; the first gene and age carry hazard."""
    return make_world(90, 60, seed=1)
