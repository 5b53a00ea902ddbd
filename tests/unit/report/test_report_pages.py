from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from report_factory import CONTEXT, make_study, make_tables, write_results

from amlprognosis.errors import InputError
from amlprognosis.report.context import default_context, workflow_edges
from amlprognosis.report.pages import MAX_BYTES, render_report, write_report
from amlprognosis.report.rulegraph import layers_of, reduced, rule_graph_svg
from amlprognosis.report.theme import Tables
from amlprognosis.report.wording import verdict

SECTIONS = ["verdict", "done", "who", "good", "against", "genes", "cells", "trust", "reproduce"]
SMALL = {"evaluation": {"report_models": ["gene_index"]}, "atlases": {}}


class Resources(HTMLParser):
    """Everything a browser would load, and the structure of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.sections: list[str] = []
        self.ids: list[str] = []
        self.unlabelled: list[str] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"])
        for key in ("src", "srcset", "data", "poster", "action"):
            if key in found:
                self.loads.append(f"{tag} {key}")
        if tag == "link" or ("href" in found and tag != "a") or tag in {"iframe", "img", "object", "embed"}:
            self.loads.append(tag)
        if tag == "section":
            self.sections.append(found.get("id"))
        if found.get("role") == "img" and not found.get("aria-label"):
            self.unlabelled.append(tag)


def test_the_page_is_whole_and_loads_nothing(page):
    seen = Resources()
    seen.feed(page)
    assert seen.loads == []
    assert seen.sections == SECTIONS
    assert seen.unlabelled == []
    assert len(seen.ids) == len(set(seen.ids))
    assert len(page.encode()) < MAX_BYTES
    style = re.search(r"<style>(.*?)</style>", page, re.S).group(1)
    assert "@import" not in style
    assert "url(" not in style
    assert "default-src 'none'" in page


def test_links_of_the_contents_lead_somewhere(page):
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_every_figure_is_embedded_once_with_its_caption(page, study):
    from amlprognosis.report.figures import figures_of

    for name, figure in figures_of(study).items():
        assert page.count(f'id="spec-{name}"') == 1, name
        assert html.escape(figure.caption, quote=False).replace("'", "&#39;") in page, name


def test_same_results_give_the_same_page(study, results, page):
    context = {**default_context(study), **CONTEXT}
    assert render_report(study, results, context) == page


def test_texts_of_the_user_are_escaped(tmp_path):
    evil = '<script>alert("x")</script>'
    study = make_study(title=evil, description=evil, **SMALL)
    tables = make_tables(study)
    tables["notes"].loc[0, "note"] = evil
    tables["index"].loc[0, "gene"] = evil
    tables["flow"].loc[1, "reason"] = evil
    write_results(study, tmp_path, tables)
    write_report(study, tmp_path, tmp_path / "report.html", {"study_yaml": evil, "command": evil})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert evil not in text
    assert "<script>alert" not in text
    assert html.escape(evil).replace("&quot;", "&#34;") in text


def test_missing_tables_are_explained(tmp_path):
    study = make_study(cohorts={"train": make_study().cohorts["train"].model_dump()}, **SMALL)
    (tmp_path / "tables").mkdir()
    write_report(study, tmp_path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not drawn: This run has no table leaderboard.tsv" in text
    assert "could not be evaluated" in text
    assert "There is no validation cohort" in text
    assert "This study has no single-cell atlas." in text


def test_no_results_at_all_is_refused(tmp_path, study):
    with pytest.raises(InputError, match="run the study before its report"):
        write_report(study, tmp_path / "none", tmp_path / "report.html", {})


def test_a_broken_figure_file_is_named(tmp_path):
    study = make_study(**SMALL)
    (tmp_path / "tables").mkdir()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "leaderboard.vl.json").write_text("{")
    with pytest.raises(InputError, match=r"leaderboard\.vl\.json: not a Vega-Lite specification"):
        write_report(study, tmp_path, tmp_path / "report.html", {})


def _sentences(study, tables):
    return {s.text: s.level for s in verdict(study, Tables(tables))}


def test_verdict_follows_the_intervals():
    study = make_study(**SMALL)
    tables = make_tables(study)
    table = tables["comparisons"]
    mine = (table["model"] == "gene_index") & (table["metric"] == "c_harrell")
    for other, low, high in (("age", 0.01, 0.1), ("eln", -0.02, 0.1), ("clinical", -0.1, -0.01)):
        table.loc[mine & (table["comparator"] == other), ["difference", "low", "high"]] = [(low + high) / 2, low, high]
    tables["comparisons"] = table[table["comparator"].isin(["age", "eln", "clinical"])]
    found = _sentences(study, tables)
    assert found["In cross-validation it is better than age (difference in C +0.055 (0.010 to 0.100))."] == "good"
    assert any("not shown to be better than the risk group alone" in text for text in found)
    assert any("is worse than the clinical Cox model" in text and level == "bad" for text, level in found.items())


def test_verdict_says_when_nothing_beats_chance():
    study = make_study(**SMALL)
    tables = make_tables(study)
    for name in ("leaderboard", "validation"):
        own = tables[name]["model"] == "gene_index"
        tables[name].loc[own, ["c_harrell", "c_harrell_low", "c_harrell_high"]] = [0.52, 0.46, 0.58]
    tables["controls"].loc[tables["controls"]["control"] == "index", "c_harrell"] = 0.52
    tables["controls_summary"].loc[tables["controls_summary"]["control"] == "random_gene_set", "p"] = 0.6
    permuted = tables["controls_summary"]["control"] == "permuted_outcome"
    tables["controls_summary"].loc[permuted, "mean"] = 0.6
    text = " ".join(_sentences(study, tables))
    assert "cannot be told from chance" in text
    assert "not distinguishable from chance" in text
    assert "not shown to be better than random genes" in text
    assert "the evaluation itself is suspect" in text


def test_rule_graph_layers_point_down():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]
    assert reduced(edges) == [("a", "b"), ("b", "c"), ("d", "c")]
    layers = layers_of(edges)
    depth = {node: level for level, layer in enumerate(layers) for node in layer}
    assert all(depth[a] < depth[b] for a, b in edges)
    assert rule_graph_svg([]) == ""
    assert "&lt;x&gt;" in rule_graph_svg([("<x>", "y")])


def test_rule_graph_of_a_cycle_ends():
    assert rule_graph_svg([("a", "b"), ("b", "a"), ("b", "c")]).startswith("<svg")


def test_edges_follow_the_study():
    whole = workflow_edges(make_study())
    assert ("simulate", "retrieve") in whole
    assert ("build_atlas", "score_atlas") in whole
    alone = workflow_edges(make_study(**SMALL, simulate=None))
    assert not [edge for edge in alone if {"simulate", "build_atlas", "planted"} & set(edge)]
