"""Model cards: what a frozen model is, what it was made from, how good it is, where it must not be used.

The order is that of Mitchell 2019 (doi:10.1145/3287560.3287596). A card is part of the frozen model: it is written from
the training cohort alone, and holds no date and no path of the machine, so that equal runs give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from amlprognosis.cohort import provenance
from amlprognosis.evaluation.calibration import CALIBRATION
from amlprognosis.evaluation.card_use import application, risk_groups, weights
from amlprognosis.evaluation.card_words import (
    INTENDED,
    VALIDATION,
    Words,
    count_of,
    out_of_scope,
    plain_name,
    unit_of,
    words_of,
)
from amlprognosis.evaluation.inputs import read_frozen
from amlprognosis.models.base import RiskModel
from amlprognosis.study import DAYS_PER_YEAR, Study, horizon_suffix, model_label
from amlprognosis.study.names import horizon_model, is_grid

if TYPE_CHECKING:
    from anndata import AnnData

MOST_NAMED = 20
BESIDE = ("age", "age_eln")
Lines = list[str]


@dataclass(frozen=True)
class Evidence:
    """What is known of the models from the training cohort.

    Attributes
    ----------
    training : AnnData
        The training cohort.
    features : DataFrame (n, p), index = patient
        The training matrix.
    cohort, flow : DataFrame
        Its rows of the tables ``cohorts`` and ``flow`` (:func:`amlprognosis.report.describe.cohort_tables`).
    leaderboard, sample_size, stability : DataFrame
        Tables of the study.
    """

    training: AnnData
    features: pd.DataFrame
    cohort: pd.DataFrame
    flow: pd.DataFrame
    leaderboard: pd.DataFrame
    sample_size: pd.DataFrame
    stability: pd.DataFrame


def write_cards(study: Study, folders: Iterable[str | Path], evidence: Evidence) -> None:
    """Write ``card.md`` into the folder of each frozen model, whole or not at all.

    Parameters
    ----------
    study : Study
    folders : iterable of path
        Folders of frozen models, refused ones included.
    evidence : Evidence
    """
    for folder in map(Path, folders):
        temporary = folder / ".card.md.tmp"
        temporary.write_text(card(study, folder, evidence), encoding="utf-8")
        os.replace(temporary, folder / "card.md")


def card(study: Study, folder: Path, evidence: Evidence) -> str:
    """Text of the card of a frozen model in Markdown.

    Parameters
    ----------
    study : Study
    folder : path
        Of the model; its name tells which one it is.
    evidence : Evidence

    Raises
    ------
    InputError
        The folder is damaged, see :func:`amlprognosis.models.persistence.load_model`.
    """
    from amlprognosis.models.persistence import load_model

    name = study.model_of_folder(folder.name)
    content = read_frozen(folder)
    if "refused" in content:
        return _text(_refused(study, name, content))
    model = load_model(folder)
    words = words_of(name, content["class"])
    sections = {
        "": _head(study, name, content, words, evidence),
        "Intended use": INTENDED,
        "Out of scope": out_of_scope(name),
        "Training data": _training(study, content, evidence),
        "Predictors": _predictors(study, model, content),
        "Outcome": _outcome(study, name),
        "Performance in cross-validation": _performance(study, name, evidence.leaderboard),
        "Sample size": _sample_size(name, evidence.sample_size),
        "Limits": _limits(study, name, model, content, evidence),
        "How to apply it": application(study, name, model),
        "Risk groups": risk_groups(model),
        "Weights": weights(study, model, content, evidence.features, evidence.stability),
        "Settings": _settings(content),
        "Software, seed, checksums": _software(study, folder, content),
        "Validation": VALIDATION,
    }
    lines = [f"# {model_label(name)}", ""]
    for title, body in sections.items():
        lines += [*([f"## {title}", ""] if title else []), *body, ""]
    return _text(lines)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _refused(study: Study, name: str, content: Mapping[str, Any]) -> Lines:
    return [
        f"# {model_label(name)}",
        "",
        f"**Not fitted.** `{name}` of study `{study.study}` could not be made from "
        f"{study.cohort_label(study.training)}:",
        "",
        f"> {content['refused']}",
        "",
        "There is no model to apply: `model.json` holds this reason alone. Nothing else in the study depends on it; "
        "comparisons with it say that they were not made, and why.",
        "",
        f"Seed of the study {study.seed}; amlprognosis {_versions(content).get('amlprognosis', '')}.",
    ]


def _head(study: Study, name: str, content: Mapping[str, Any], words: Words, evidence: Evidence) -> Lines:
    found = ""
    row = _row(evidence.leaderboard, name)
    if row is not None and pd.notna(row.get("c_harrell")):
        found = f" In cross-validation there its C-index is {_interval(row, 'c_harrell', 3)}"
        others = [(other, _row(evidence.leaderboard, other)) for other in BESIDE if other != name]
        told = [(model_label(o).lower(), _interval(r, "c_harrell", 3)) for o, r in others if r is not None]
        found += "".join(f"; that of {label} is {figure}" for label, figure in told) + " (95% intervals)."
    size = f"{content['n_patients']} patients, {content['n_events']} deaths"
    return [
        f"{words.what}. Fitted on all of {study.cohort_label(study.training)} ({size}).{found}",
        "",
        f"`{name}` of study `{study.study}`: {study.title}. Its risk is {words.risk}; a higher one means earlier "
        "death.",
    ]


def _training(study: Study, content: Mapping[str, Any], evidence: Evidence) -> Lines:
    row, obs = evidence.cohort.iloc[0], evidence.training.obs
    age = obs["age"].dropna() if "age" in obs else pd.Series(dtype=float)
    items = {
        "Cohort": f"{study.cohort_label(study.training)} ({row['source']}, {row['platform']})",
        "Origin": "; ".join(sorted({str(text) for text in provenance(evidence.training)["licence"] if text})),
        "Patients": f"{content['n_patients']}, of whom {content['n_events']} died",
        "Follow-up": f"median {_years(row['median_followup_days'])} (reverse Kaplan-Meier); median overall survival "
        f"{_years(row['median_os_days'])}",
        "Age": f"median {age.median():.0f} years, from {age.min():.0f} to {age.max():.0f}"
        if len(age)
        else "not recorded",
        "Sex": f"{row['female_share']:.0%} female" if pd.notna(row["female_share"]) else "not recorded",
        "Risk groups": ", ".join(
            f"{row[f'risk_{group}']} {group}" for group in ("favourable", "intermediate", "adverse", "unknown")
        )
        + f" ({row['risk_system']})",
    }
    lines = [f"- {title}: {text}" for title, text in items.items() if text]
    left_out = evidence.flow[evidence.flow["step"] == "excluded"]
    total = int(evidence.flow["remaining"].iloc[0])
    lines += [f"- In the source: {total}; left out: {int(left_out['patients'].sum())}"]
    return lines + [f"  - {row.reason}: {row.patients}" for row in left_out.itertuples()]


def _predictors(study: Study, model: RiskModel, content: Mapping[str, Any]) -> Lines:
    blocks: dict[str, Lines] = {}
    for feature in model.features_in_:
        blocks.setdefault(feature.split(":", 1)[0], []).append(feature)
    lines = []
    for block, features in blocks.items():
        unit = unit_of(study, features[0], content["metadata"])
        if block == "clinical":
            lines += [f"- {plain_name(f)} ({unit_of(study, f, content['metadata'])})" for f in features]
        else:
            what = {"expression": "gene", "mutation": "mutated gene"}[block]
            named = f": {', '.join(map(plain_name, features))}" if len(features) <= MOST_NAMED else ""
            lines.append(f"- {count_of(len(features), what)} ({unit}){named}")
    origin = "named beforehand" if content["class"] in ("CoxModel", "SignatureScore") else "chosen in training"
    clinical = (
        " Clinical values are those at diagnosis, as the training cohort records them." if "clinical" in blocks else ""
    )
    return [
        f"{count_of(len(model.features_in_), 'column')}, {origin}:",
        "",
        *lines,
        "",
        f"Missing values are filled as in training (*filled with*, below).{clinical}",
    ]


def _outcome(study: Study, name: str) -> Lines:
    horizon = horizon_model(name)
    years = [horizon[1]] if horizon else sorted(study.evaluation.horizons_years)
    return [
        "Overall survival: from diagnosis to death from any cause; patients alive are censored at their last "
        f"follow-up. Survival is told at {_listed([f'{value:g}' for value in years])} years"
        + (" alone." if horizon else ", and as a curve with `--curves`.")
    ]


def _performance(study: Study, name: str, board: pd.DataFrame) -> Lines:
    row = _row(board, name)
    if row is None or pd.isna(row.get("c_harrell")):
        reason = f": {row['note']}" if row is not None and pd.notna(row["note"]) else ""
        return [f"No figures{reason}."]
    others = [other for other in BESIDE if other != name and _row(board, other) is not None]
    columns = [row, *(_alike(_row(board, other), row) for other in others)]
    heads = ["", model_label(name), *(model_label(other) for other in others)]
    validation = study.crossvalidation
    lines = [
        f"{validation.repeats} x {validation.folds}-fold cross-validation by patient, the whole procedure (filters, "
        "screen, selection, tuning, cut-point) repeated in each training part. 95% intervals by bootstrap over "
        "patients.",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for key, title, digits in _metrics(study, row):
        if pd.notna(row.get(key)):
            cells = [_interval(column, key, digits) for column in columns]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += [
        "",
        "Higher is better for C, AUC, IPA and net benefit, lower for Brier scores and ICI; 1 is ideal for the slope "
        "and for observed over expected deaths, 0 for the intercept. Paired differences with intervals are in "
        "`tables/comparisons.tsv`, figures within sex, age and risk groups in `tables/subgroups.tsv`.",
    ]
    if isinstance(row["note"], str) and row["note"]:
        lines.append(f"Not defined here: {row['note']}.")
    return lines


def _alike(other: pd.Series | None, row: pd.Series) -> pd.Series:
    """Figures of another model, without those of calibration at another horizon."""
    found = pd.Series(other)
    if found.get("calibration_horizon") == row.get("calibration_horizon"):
        return found
    return found.drop([key for key in found.index if key.startswith(CALIBRATION)])


def _metrics(study: Study, row: pd.Series) -> list[tuple[str, str, int]]:
    """Column of the leaderboard, words, decimals."""
    horizons = [(horizon_suffix(years), f"{years:g} y") for years in sorted(study.evaluation.horizons_years)]
    at = row.get("calibration_horizon")
    at_years = f" at {at:g} y" if pd.notna(at) else ""
    main = study.evaluation.main_horizon_years
    return [
        ("c_harrell", "Harrell's C", 3),
        ("c_uno", "Uno's C", 3),
        *((f"auc_{suffix}", f"AUC, {years}", 3) for suffix, years in horizons),
        *((f"brier_{suffix}", f"Brier score, {years}", 3) for suffix, years in horizons),
        *((f"ipa_{suffix}", f"Index of prediction accuracy (IPA), {years}", 3) for suffix, years in horizons),
        ("ibs", f"Integrated Brier score{_reference(row)}", 3),
        ("calibration_slope", f"Calibration slope{at_years}", 2),
        ("calibration_intercept", f"Calibration intercept{at_years}", 2),
        ("oe", f"Observed / expected deaths{at_years}", 2),
        ("ici", f"Integrated calibration index (ICI){at_years}", 3),
        ("e50", f"Median calibration error (E50){at_years}", 3),
        ("e90", f"90% calibration error (E90){at_years}", 3),
        ("d_calibration_p", "D-calibration, p", 3),
        ("net_benefit", f"Net benefit at a risk of {study.evaluation.decision_threshold:.0%}, {main:g} y", 3),
        ("rmst_difference_months", "Restricted mean survival, low less high risk (months)", 1),
    ]


def _reference(row: pd.Series) -> str:
    reference = row.get("ibs_reference")
    return f" (Kaplan-Meier: {reference:.3f})" if pd.notna(reference) else ""


def _sample_size(name: str, sizes: pd.DataFrame) -> Lines:
    row = _row(sizes, "grid" if is_grid(name) else name)
    if row is None:
        return ["Not computed for this model."]
    too_small = row["verdict"] != "enough"
    criterion = f" for an {row['riley_criterion']}" if isinstance(row.get("riley_criterion"), str) else ""
    lines = [
        f"{count_of(row['candidate_parameters'], 'candidate parameter')} before any selection: "
        f"{row['events_per_parameter']:.3g} deaths for each. At least {row['riley_minimum_n']} patients would be "
        f"needed{criterion} (Riley 2019, doi:10.1002/sim.7992); there are {row['patients']}: **{row['verdict']}**."
    ]
    if too_small and pd.notna(row.get("expected_shrinkage")):
        lines.append(
            f"Expected shrinkage {row['expected_shrinkage']:.2f}: without a penalty, the spread of its predictions "
            "would have to shrink to that share."
        )
    return lines


def _limits(study: Study, name: str, model: RiskModel, content: Mapping[str, Any], evidence: Evidence) -> Lines:
    metadata, row, label = content["metadata"], evidence.cohort.iloc[0], study.cohort_label(study.training)
    lines = []
    if any(feature.startswith("expression:") for feature in model.features_in_):
        ways = [way for way in metadata["adaptations"] if way != "none"]
        asked = f", with `--adaptation` ({', '.join(ways)})" if ways else ""
        lines.append(
            f"- Platform: trained on expression of {label} ({row['platform']}). Values of another platform or pipeline "
            f"must be brought to it{asked}. No adaptation makes platforms equal: what is lost shows in validation only."
        )
        if "cohort_rescaling" in ways:
            lines.append("- `cohort_rescaling` needs a whole cohort and does not hold for one new patient.")
    else:
        lines.append("- Platform: it reads no expression and needs no adaptation.")
    lines.append(
        f"- Population: one cohort ({label}). How and when its patients were treated is in the publication of the "
        "source, not in this file. Survival in leukaemia has changed with treatment: predicted survival can be wrong "
        "elsewhere even where the ranking holds. Check calibration first."
    )
    if any(feature.startswith("clinical:risk_") for feature in model.features_in_):
        lines.append(
            f"- Risk groups are those of {row['risk_system']}; labels of another system are another predictor."
        )
    lines.append(
        f"- On the very patients it was fitted to, its C-index is {metadata['c_own_training']:.3f}. That is no figure "
        "of merit; what it lies above the cross-validated one is optimism."
    )
    if not horizon_model(name) and model.lp_slope_ == 0:
        lines.append("- Its risks carry no signal on held-out patients: every patient gets the same survival curve.")
    return lines + [f"- Noted when it was fitted: {note}" for note in content["notes"]]


def _settings(content: Mapping[str, Any]) -> Lines:
    settings = {key: value for key, value in content["parameters"].items() if key not in ("genes", "random_state")}
    return [f"`{json.dumps(settings, sort_keys=True)}`"]


def _software(study: Study, folder: Path, content: Mapping[str, Any]) -> Lines:
    versions = ", ".join(f"{package} {version}" for package, version in sorted(_versions(content).items()))
    files = {"model.json": hashlib.sha256((folder / "model.json").read_bytes()).hexdigest(), **content["files"]}
    return [
        f"{versions}; seed of the study {study.seed}, of this fit {content['parameters']['random_state']}.",
        "",
        "| file | SHA-256 |",
        "|---|---|",
        *(f"| {file} | `{digest}` |" for file, digest in sorted(files.items())),
    ]


def _versions(content: Mapping[str, Any]) -> dict[str, str]:
    return dict(content["metadata"]["software"])


def _row(table: pd.DataFrame, name: str) -> pd.Series | None:
    found = table[table["model"] == name]
    return found.iloc[0] if len(found) else None


def _interval(row: pd.Series, key: str, digits: int) -> str:
    value = row.get(key)
    if pd.isna(value):
        return "-"
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    inside = "" if pd.isna(low) or pd.isna(high) else f" ({_fixed(low, digits)} to {_fixed(high, digits)})"
    return f"{_fixed(value, digits)}{inside}"


def _fixed(value: float, digits: int) -> str:
    # Adding 0.0 turns a rounded -0.00 into 0.00.
    return f"{round(float(value), digits) + 0.0:.{digits}f}"


def _years(days: float) -> str:
    return "not reached" if pd.isna(days) else f"{days / DAYS_PER_YEAR:.1f} years"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
