from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from report_factory import CONTEXT, make_study, make_tables, write_results

from amlprognosis.errors import InputError
from amlprognosis.report.answers import Answer, columns, questions
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
    return {s.text: s.level for s in verdict(study, Tables(tables, study))}


def _set(table, columns, values, **where):
    chosen = table[columns[0]].notna() | True
    for column, value in where.items():
        chosen &= table[column] == value
    assert chosen.any()
    table.loc[chosen, columns] = values


def _answers(study, tables):
    return {question.key: question.answers for question in questions(study, Tables(tables, study))}


def test_verdict_and_answers_follow_the_intervals():
    study = make_study(**SMALL)
    tables = make_tables(study)
    train, ends = "train (cross-validated)", ["difference", "low", "high"]
    mine = {"model": "gene_index", "metric": "c_harrell"}
    table = tables["comparisons"]
    _set(table, ends, [0.055, 0.01, 0.1], comparator="age_eln", **mine)
    _set(table, ends, [-0.055, -0.1, -0.01], comparator="clinical", **mine)
    _set(table, ends, [float("nan")] * 3, comparator="age_eln", cohort="rnaseq", **mine)
    table.loc[table["cohort"] == "rnaseq", "note"] = (
        "not compared: 2 of 2 features have no value in this cohort (clinical:age, clinical:risk_adverse)"
    )
    found = _sentences(study, tables)
    places = "cross-validation, Simulated array and Simulated RNA-seq"
    assert found[f"It is worse than the clinical model in {places}."] == "bad"
    text = (
        "It is better than age + risk group in cross-validation and Simulated array; it cannot be compared with it in "
    )
    assert found[text + "Simulated RNA-seq (no age or risk group)."] == "good"
    answers = _answers(study, tables)
    assert answers["beats_age_eln"]["train"] == Answer("good", "Yes", "C +0.055 (0.010 to 0.100)")
    assert answers["beats_clinical"]["array"].word == "No, worse"
    assert answers["beats_age_eln"]["rnaseq"] == Answer("none", "Cannot be said", "no age or risk group")
    assert answers["beats_lsc17"]["train"] == Answer("none", "Cannot be said", "2 of 17 genes measured")
    assert "It cannot be compared with the published LSC17 in cross-validation" in " ".join(found)
    assert len(table[table["cohort"] == train]) > 0


def test_calibration_on_average_does_not_hide_a_group():
    study = make_study(**SMALL)
    tables = make_tables(study)
    for subgroup, level, ratio in (("age", "below 60", [0.7, 0.5, 0.9]), ("age", "60 and above", [1.1, 1.05, 1.2])):
        where = {"cohort": "train", "model": "gene_index", "subgroup": subgroup, "level": level}
        _set(tables["subgroups"], ["oe", "oe_low", "oe_high"], ratio, **where)
    answers = _answers(study, tables)["calibrated"]
    assert answers["train"].word == "On average, not in every group"
    assert answers["train"].text.endswith("; 0.70 (0.50–0.90) in age below 60")
    assert answers["array"].word == "No fault shown"
    assert any("on average, not in every group in cross-validation" in text for text in _sentences(study, tables))


def test_what_the_index_adds_is_told_by_difference_and_test():
    study = make_study(**SMALL)
    tables = make_tables(study)
    where = {"model": "clinical_gene_index", "comparator": "clinical", "metric": "c_harrell"}
    _set(tables["comparisons"], ["difference", "low", "high"], [0.03, 0.01, 0.05], cohort="array", **where)
    _set(tables["comparisons"], ["difference", "low", "high"], [0.01, -0.01, 0.03], cohort="rnaseq", **where)
    tables["added_value"].loc[tables["added_value"]["cohort"] == "rnaseq", "p"] = 0.4
    adds = _answers(study, tables)["adds"]
    assert [adds[cohort].word for cohort in ("train", "array", "rnaseq")] == ["A little", "Yes", "Not shown"]
    assert "likelihood ratio p = 0.004, HR 1.30 (1.08–1.56) per SD" in adds["train"].text
    text = " ".join(_sentences(study, tables))
    assert "Added to the clinical model it explains a little more, but is not shown" in text
    assert (
        "added to the clinical model it orders patients better than the clinical model alone in Simulated array" in text
    )


def test_calibration_and_net_benefit_are_judged_by_their_intervals():
    study = make_study(**SMALL)
    tables = make_tables(study)
    board, outside = tables["leaderboard"], tables["validation"]
    slope, oe, gain = ([name, f"{name}_low", f"{name}_high"] for name in ("calibration_slope", "oe", "net_benefit"))
    _set(board, slope, [0.6, 0.4, 0.8], model="gene_index")
    _set(outside, oe, [1.4, 1.2, 1.6], model="gene_index", cohort="rnaseq")
    _set(board, gain, [0.30, 0.26, 0.34], model="gene_index")
    _set(outside, gain, [0.20, 0.16, 0.23], model="gene_index", cohort="rnaseq")
    answers = _answers(study, tables)
    assert answers["calibrated"]["train"].word == "Too extreme"
    _set(board, slope, [0.3, -0.6, 1.2], model="gene_index")
    assert _answers(study, tables)["calibrated"]["train"].word == "Too uncertain to say"
    assert answers["calibrated"]["rnaseq"].word == "Too few deaths predicted"
    assert answers["useful"]["train"].word == "Yes"
    assert "treat all 0.240, none 0; against the clinical model" in answers["useful"]["train"].text
    assert answers["useful"]["rnaseq"].word == "No"


def test_pooled_figures_need_two_cohorts():
    study = make_study(**SMALL)
    tables = make_tables(study)
    assert columns(study, Tables(tables, study))["pooled"] == "Pooled over 2 cohorts"
    assert _answers(study, tables)["order"]["pooled"].text == "C 0.64 (0.59–0.68); a new cohort 0.56 to 0.71; I² 34%"
    order = (tables["meta_analysis"]["model"] == "gene_index") & (tables["meta_analysis"]["metric"] == "c_harrell")
    tables["meta_analysis"].loc[order, ["low", "high"]] = [0.1, 0.95]
    assert _answers(study, tables)["order"]["pooled"].word == "Too few cohorts to say"
    assert "which so few cohorts cannot narrow" in " ".join(_sentences(study, tables))
    tables["meta_analysis"] = tables["meta_analysis"].assign(cohorts=1)
    assert "pooled" not in columns(study, Tables(tables, study))
    assert "Pooled" not in " ".join(_sentences(study, tables))


def test_suspect_checks_and_unlike_seeds_are_said():
    study = make_study(**SMALL)
    tables = make_tables(study)
    tables["leakage_checks"].loc[0, "verdict"] = "suspect"
    text = " ".join(_sentences(study, tables))
    assert "1 of 4 leakage checks is suspect: repeated patients." in text
    tables["leakage_checks"].loc[0, "verdict"] = "not checked"
    assert "None of the 3 leakage checks is suspect. 1 could not be made." in " ".join(_sentences(study, tables))
    assert "With 10 other seeds the cross-validated C-index lies between" in text
    assert "would have claimed C 0.79 on these data (honestly: 0.62), and 0.7" in text


def test_the_best_of_all_models_is_told_with_what_the_choice_is_worth():
    study = make_study(**SMALL)
    tables = make_tables(study)
    assert "As the best of 13 it is slightly optimistic." in " ".join(_sentences(study, tables))
    tables["selection"] = pd.DataFrame(
        [
            ("c_best", 0.69, 0.64, 0.74, "random_survival_forest", "largest"),
            ("c_corrected", 0.67, 0.6, 0.73, "", "left"),
        ],
        columns=["item", "value", "low", "high", "text", "meaning"],
    )
    text = " ".join(_sentences(study, tables))
    assert "with the choice made anew in bootstrap draws it is worth 0.67 (0.60–0.73)." in text


def test_the_verdict_is_short(study):
    assert len(verdict(study, Tables(make_tables(study), study))) <= 16


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
    assert "it is not shown to be better than random gene sets in cross-validation" in text.replace("It is", "it is")
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
