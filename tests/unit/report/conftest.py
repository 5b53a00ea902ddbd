from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from report_factory import CONTEXT, make_study, write_results


@pytest.fixture(scope="session")
def study():
    return make_study()


@pytest.fixture(scope="session")
def results(study, tmp_path_factory):
    return write_results(study, tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def page(study, results):
    from amlprognosis.report.pages import write_report

    write_report(study, results, results / "report.html", CONTEXT)
    return (results / "report.html").read_text(encoding="utf-8")
