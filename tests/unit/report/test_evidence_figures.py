"""Figures and tables of the evidence: what they show, what they say when something is lacking, one colour per thing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from report_factory import make_study, make_tables

from amlprognosis.report import html_evidence
from amlprognosis.report.decision_figures import treat_all
from amlprognosis.report.figures import figures_of
from amlprognosis.report.reading import why_not, words_of
from amlprognosis.report.theme import BLACK, Tables, cohort_colors, model_colors


@pytest.fixture(scope="module")
def tables(study):
    return Tables(make_tables(study), study)


def colors_of(panel) -> dict[str, str]:
    """Colours by label of every colour scale of a chart."""
    found = {}

    def walk(node):
        if isinstance(node, dict):
            scale = node.get("scale")
            if isinstance(scale, dict) and "domain" in scale and str(next(iter(scale.get("range", [])), ""))[:1] == "#":
                found.update(zip(scale["domain"], scale["range"], strict=True))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(panel.chart.to_dict())
    return found


def test_a_cohort_and_a_model_have_one_colour_in_every_figure(study, tables):
    figures = figures_of(study)
    by_cohort = dict(zip((study.cohort_label(c) for c in study.cohorts), cohort_colors(study).values(), strict=True))
    for name in ("validation", "comparisons", "added_value", "meta_analysis"):
        for label, color in colors_of(figures[name].build(tables)).items():
            cohort = label.split(" (")[0]
            assert color == by_cohort.get(cohort, BLACK), (name, label)
    by_model = [colors_of(figures[name].build(tables)) for name in ("decision_curve_train", "auc_over_horizons_array")]
    assert by_model[0]["Gene index (lasso Cox)"] == by_model[1]["Gene index (lasso Cox)"]
    assert by_model[0]["Clinical Cox"] == by_model[1]["Clinical Cox"]


def test_models_without_a_colour_of_their_own_get_different_ones():
    many = ["gene_index", *(f"other{i}" for i in range(12))]
    assert len(set(model_colors(many).values())) == len(many)


def test_figures_show_the_first_adaptation(study, tables):
    whole, main = tables.whole("validation"), tables.get("validation")
    assert set(whole["adaptation"]) == {"cohort_rescaling", "within_sample_ranks", "none"}
    array = main[main["cohort"] == "array"].set_index("model")["adaptation"]
    assert array["gene_index"] == "cohort_rescaling"
    assert array["age"] == "none"
    assert not main.duplicated(["cohort", "model"]).any()
    panel = figures_of(study)["adaptations"].build(tables)
    assert "Gene index (lasso Cox), Simulated array, Cohort re-scaled (needs a whole cohort)" in panel.alt_text
    assert "Ranks within the sample" in panel.alt_text
    assert "adaptations" not in figures_of(make_study(cohorts={"train": study.cohorts["train"].model_dump()}))


def test_refused_comparisons_stand_in_the_figure_with_their_reason(study, tables):
    panel = figures_of(study)["comparisons"].build(tables)
    values = [row for rows in panel.chart.to_dict()["datasets"].values() for row in rows]
    missing = {row["missing"] for row in values if row.get("missing")}
    assert "Simulated GDC: 2 of 17 genes measured" in missing
    assert "against LSC17 (published weights), Simulated RNA-seq: 2 of 17 genes measured" in panel.alt_text


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("signature: 1 of its 17 genes have an expression column, at least 50% are needed", "1 of 17 genes measured"),
        ("not applied: 1 of 1 features have no value in this cohort (clinical:age)", "no age"),
        (
            "not compared: 6 of 6 features have no value in this cohort (clinical:age, clinical:sex_male, "
            "clinical:risk_intermediate, clinical:risk_adverse, clinical:wbc_log10, mutation:NPM1)",
            "no age, sex, risk group, white cells or mutations",
        ),
        (
            "not compared: CoxModel: 3 of the 3 columns it needs are absent or without a value (at most 30% may be): "
            "clinical:age, clinical:risk_intermediate, clinical:risk_adverse",
            "no age or risk group",
        ),
        (
            "5 fits failed: Cox model on clinical:age, clinical:risk_*: no column clinical:risk_* in the features; no "
            "predictions",
            "the training cohort has no risk group",
        ),
        ("not fitted: something; and more", "something"),
        (float("nan"), ""),
        ("", ""),
    ],
)
def test_reasons_in_the_words_of_a_reader(note, words):
    assert words_of(note) == words


def test_reasons_are_found_in_the_notes_of_the_run(study):
    notes = pd.DataFrame(
        [{"source": "validation: rnaseq", "item": "age",
          "note": "not applied: 1 of 1 features have no value in this cohort (clinical:age)"}]
    )  # fmt: skip
    assert why_not(Tables({"notes": notes}, study), study, "rnaseq", "age") == "no age"
    assert why_not(Tables({}), study, "rnaseq", "Ridge") == "not in models.run"


def test_treating_all_follows_from_any_threshold_of_the_curve():
    thresholds, deaths = np.array([0.1, 0.31, 0.77]), 0.6
    curve = pd.DataFrame({"threshold": thresholds, "treat_all": deaths - (1 - deaths) * thresholds / (1 - thresholds)})
    assert treat_all(curve, 0.5) == pytest.approx(0.2)
    assert treat_all(curve.assign(treat_all=np.nan), 0.5) is None


def test_decision_and_calibration_figures_say_their_figures(study, tables):
    figures = figures_of(study)
    decision = figures["decision_curve_array"].build(tables)
    assert decision.note.startswith("Gene index (lasso Cox), 3 years, at 50%: 0.2")
    assert decision.note.endswith("treat all 0.24, none 0")
    assert {"Treat all", "Treat none", "Age + risk group", "Clinical + gene index"} <= set(colors_of(decision))
    equal = figures["d_calibration_train"].build(tables)
    assert "p = 0.42: no sign of miscalibration" in equal.note
    assert "intercept" in figures["calibration_train_gene_index"].build(tables).note
    assert "low risk lives 8.2 (4.1–12.3) months longer within 5 years" in (
        figures["kaplan_meier_train_gene_index"].build(tables).note
    )


def test_the_null_is_drawn_in_every_cohort_and_the_leaky_recipe_beside_the_honest_one(study, tables):
    figures = figures_of(study)
    for cohort in study.cohorts:
        panel = figures[f"null_distribution_{cohort}"].build(tables)
        assert panel.note == "Against 50 random gene sets: p = 0.020 (empirical)"
    leakage = figures["leakage"].build(tables)
    assert "Leaky recipe, your outcomes 0.79; Honest recipe, your outcomes 0.62" in leakage.alt_text
    assert leakage.note == "10 permutations: mean and range"
    seeds = figures["seeds"].build(tables)
    assert "10 other seeds: C-index, cross-validated 0.6" in seeds.alt_text
    none = Tables({"controls": tables.get("controls").query("control == 'index'")}, study)
    assert "computed no negative controls" in figures["null_distribution_train"].build(none).alt_text
    assert "No random gene sets were applied" in figures["null_distribution_array"].build(none).alt_text
    assert "did not run the leaky recipe" in figures["leakage"].build(none).alt_text


def test_pooled_figures_carry_the_interval_of_a_new_cohort(study, tables):
    panel = figures_of(study)["meta_analysis"].build(tables)
    assert "a new cohort: 0.56 to 0.71, I² 34%" in panel.alt_text
    assert '"symbol": "diamond"' in json.dumps(panel.chart.to_dict())
    differences = figures_of(study)["meta_analysis_differences"].build(tables)
    assert "Gene index (lasso Cox) − Age + risk group" in differences.alt_text
    alone = make_study(cohorts={name: study.cohorts[name].model_dump() for name in ("train", "array")})
    assert not [name for name in figures_of(alone) if name.startswith("meta")]


def test_tables_of_the_evidence(study, tables):
    made = {
        "comparisons": html_evidence.comparisons(tables, study),
        "added_value": html_evidence.added_value(tables, study),
        "meta_analysis": html_evidence.meta_analysis(tables, study),
        "decision_curve": html_evidence.decision_curve(tables, study),
        "d_calibration": html_evidence.d_calibration(tables, study),
        "controls_summary": html_evidence.controls(tables, study),
        "stability_summary": html_evidence.stability(tables),
        "seed_stability": html_evidence.seeds(tables),
        "leakage_checks": html_evidence.leakage_checks(tables, study),
    }
    for name, table in made.items():
        assert table is not None, name
        assert table.name == name
        assert all(len(row) == len(table.headings) for row in table.rows)
    pooled = [row for row in made["meta_analysis"].rows if row[1].text == "C − C of Age + risk group"]
    assert pooled[0][4].text == "−0.055 to 0.085"
    assert pooled[0][5].text == "34%"
    assert len(made["d_calibration"].rows) == tables.get("d_calibration").groupby(["cohort", "model"]).ngroups
    thresholds = {row[2].text for row in made["decision_curve"].rows}
    assert len(thresholds) == 9
    empty = Tables({}, study)
    assert html_evidence.meta_analysis(empty, study) is None
    assert html_evidence.leakage_checks(empty, study) is None


def test_suspect_checks_stand_first_in_red(study):
    checks = make_tables(study)["leakage_checks"]
    checks.loc[3, "verdict"] = "suspect"
    table = html_evidence.leakage_checks(Tables({"leakage_checks": checks}, study), study)
    assert table.rows[0][4].text == "suspect"
    assert table.rows[0][4].style == "bad"
    assert table.cards


def test_a_cohort_that_cannot_have_the_model_is_said_once(study):
    content = make_tables(study)
    table = content["comparisons"]
    content["comparisons"] = table[~((table["cohort"] == "rnaseq") & (table["model"] == "clinical_gene_index"))]
    content["notes"] = pd.DataFrame(
        [{"source": "validation: rnaseq", "item": "clinical_gene_index",
          "note": "not applied: 1 of the 9 columns it needs are absent or without a value: clinical:age"}]
    )  # fmt: skip
    panel = figures_of(study)["added_value"].build(Tables(content, study))
    assert panel.note == "Not in Simulated RNA-seq: no age"
    assert "Simulated RNA-seq: +" not in panel.alt_text


def test_a_wide_pooled_interval_does_not_hide_the_cohorts(study):
    content = make_tables(study)
    pooled = content["meta_analysis"]["metric"] == "c_harrell"
    content["meta_analysis"].loc[pooled, ["low", "high"]] = [0.05, 0.99]
    panel = figures_of(study)["meta_analysis"].build(Tables(content, study))
    values = [row for rows in panel.chart.to_dict()["datasets"].values() for row in rows if row.get("symbol")]
    ends = [row for row in values if row["symbol"] == "diamond"]
    assert min(row["low"] for row in ends) > 0.3
    assert "(0.05–0.99)" in ends[0]["text"]
