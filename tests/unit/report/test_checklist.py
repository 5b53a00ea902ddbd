"""The TRIPOD+AI checklist: every item is answered, from the run's numbers, and open where only authors know."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from report_factory import make_study, make_tables, write_results

from amlprognosis.report.checklist import ANSWERS, checklist_table, items, render_checklist, write_checklist
from amlprognosis.report.html_reporting import checklist_counts
from amlprognosis.report.risk_of_bias import risk_of_bias_table
from amlprognosis.report.theme import Tables
from amlprognosis.report.tripod_base import OPEN, PARTLY, STATUSES, status_counts
from amlprognosis.study import Study
from amlprognosis.study.reporting import TRIPOD_ITEMS

# What a run can never know of real patients.
FOR_AUTHORS = {"3c", "5b", "6a", "17", "18a", "18b", "18c", "18d", "19"}


def filled(real: Study, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return checklist_table(real, Tables(tables, real)).set_index("item")


@pytest.fixture(scope="module")
def real() -> Study:
    return make_study(simulate=None)


@pytest.fixture(scope="module")
def tables(real: Study) -> dict[str, pd.DataFrame]:
    made = make_tables(real)
    made["risk_of_bias"] = risk_of_bias_table(real, Tables(made, real))
    made["subgroups"] = pd.DataFrame(
        {
            "cohort": "train",
            "model": "gene_index",
            "subgroup": ["all", "age", "age", "sex"],
            "level": ["all", "below 60", "60 and above", "male"],
            "c_harrell": [0.66, 0.71, 0.58, float("nan")],
        }
    )
    return made


def test_every_item_has_an_answer_function() -> None:
    assert tuple(ANSWERS) == TRIPOD_ITEMS == tuple(items()["item"])


def test_every_item_is_answered(real: Study, tables: dict[str, pd.DataFrame]) -> None:
    table = filled(real, tables)
    assert len(table) == 52
    assert set(table["status"]) == set(STATUSES)
    assert set(table.index[table["status"] == OPEN]) == FOR_AUTHORS
    remains = table["remains"] != ""
    assert (remains == table["status"].isin([OPEN, PARTLY])).all(), "what is left is named, and only where something is"
    assert (table.loc[table["status"] != OPEN, "answer"] != "").all()
    assert not table["answer"].str.contains(r"\bnan\b|\bNone\b|–\.|: ;|\.\.").any()


def test_answers_hold_the_numbers_of_the_run(real: Study, tables: dict[str, pd.DataFrame]) -> None:
    said = filled(real, tables)["answer"]
    row = tables["leaderboard"].set_index("model").loc["gene_index"]
    assert f"C {row['c_harrell']:.2f} ({row['c_harrell_low']:.2f}" in said["23a"]
    assert "Over 2 subgroups C lies between 0.58 (age 60 and above) and 0.71 (age below 60)" in said["23a"]
    assert "238 patients, 152 deaths" in said["10"]
    assert "5,210 patients: too small" in said["10"]
    assert "247 in the source, 238 patients, 152 deaths analysed, median follow-up 4.4 years" in said["20a"]
    assert "10 x 5-fold" in said["12a"]
    assert "threshold 0.5" in said["12e"]
    assert "cohort rescaling" in said["12f"]
    assert f"({len(tables['index'])} genes)" in said["22"]
    assert "seed 1" in said["18f"]


def test_only_places_that_exist_are_named(real: Study, tables: dict[str, pd.DataFrame]) -> None:
    without = {name: table for name, table in tables.items() if name != "subgroups"}
    assert "tables/subgroups.tsv" in filled(real, tables).loc["23a", "where"]
    assert "tables/subgroups.tsv" not in filled(real, without).loc["23a", "where"]


def test_authors_answers_close_items(tables: dict[str, pd.DataFrame]) -> None:
    reporting = {"answers": {"18a": "Nobody paid for it.", 4: "To learn.", "8b": "Two clerks."}}
    table = filled(make_study(simulate=None, reporting=reporting), tables)
    for item in ("18a", "4", "8b"):
        assert table.loc[item, "status"] == "reported"
        assert table.loc[item, "remains"] == ""
    assert table.loc["18a", "answer"] == "Nobody paid for it."
    assert table.loc["4", "answer"].startswith("To learn. The run: Does a gene index")


def test_simulated_patients_need_no_consent(tables: dict[str, pd.DataFrame]) -> None:
    table = filled(make_study(), tables)
    assert table.loc["17", "status"] == "not applicable"
    assert table.loc["18a", "status"] == "open"


def test_development_alone(tables: dict[str, pd.DataFrame]) -> None:
    cohorts = make_study().model_dump(mode="json", exclude_unset=True)["cohorts"]
    study = make_study(simulate=None, cohorts={"train": cohorts["train"]})
    own = {**tables, "cohorts": tables["cohorts"].head(1), "validation": tables["validation"].head(0)}
    table = filled(study, own)
    assert set(table.index[table["applies"] == "E"]) <= set(table.index[table["status"] == "not applicable"])
    assert "not applicable" in set(table.loc[["23b", "12d", "16"], "status"])


def test_without_any_table() -> None:
    table = filled(make_study(simulate=None), {})
    assert len(table) == 52
    assert not table["where"].str.contains("tables/").any()


class Page(HTMLParser):
    """Rows, links and open elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "tr" and found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        if tag in ("script", "img", "link", "iframe"):
            self.outside.append(tag)


def test_page(real: Study, tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    folder = write_results(real, tmp_path, tables)
    read = Tables(folder / "tables", real)
    table = write_checklist(real, read, folder / "tripod_ai.html")
    text = (folder / "tripod_ai.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.ids == [f"item-{item}" for item in TRIPOD_ITEMS]
    assert page.outside == []
    for status, count in status_counts(table).items():
        assert f"<strong>{count}</strong>{status}" in text
    local = [link for link in page.links if not link.startswith("https://doi.org/")]
    template = Path(__file__).parents[3] / "workflow" / "amlprognosis" / "report" / "templates" / "report.html.j2"
    sections = set(re.findall(r'<section id="(\w+)"', template.read_text(encoding="utf-8")))
    for link in local:
        path, _, section = link.partition("#")
        if path == "report.html":
            assert section in {"", *sections}
        elif path.startswith("tables/"):
            assert (folder / path).is_file()
        else:
            assert path.startswith("models/"), link
    again = render_checklist(real, checklist_table(real, read))
    assert again == text
    assert sum(checklist_counts(Tables({"tripod_ai": table})).values()) == 52
    assert checklist_counts(Tables({})) == {}


def test_page_escapes_what_a_study_says(tables: dict[str, pd.DataFrame]) -> None:
    study = make_study(title="<script>alert(1)</script>", reporting={"answers": {"19": "<b>none</b>"}})
    text = render_checklist(study, checklist_table(study, Tables(tables, study)))
    assert "<script>" not in text
    assert "&lt;b&gt;none" in text


def test_the_report_leads_to_the_checklist(page: str) -> None:
    assert page.count('href="tripod_ai.html"') == 2
    assert "items of the TRIPOD+AI checklist the run reports" in page
    assert "Raised by" in page
    assert "C and O/E within sex, age and risk groups" in page
