from __future__ import annotations

import pytest
from prediction_world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A study of counts, its frozen models, and a validation cohort that the workflow scored."""
    return make_world(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session", params=["upper_quartile", "vst"])
def counted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same with another method for counts, and one model."""
    return make_world(tmp_path_factory.mktemp(request.param), ["gene_index"], request.param)
