"""What the warnings of a run say of its data: wrong records, mixed-up samples, batches."""

from __future__ import annotations

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.evaluation.batch_effects import AS_BUILT, BATCH, CLEAR, STRONG
from amlprognosis.normalize.identity import A_COPY, ACROSS, EVERYBODY, SEX, SHARED, SUSPECT, SWAPPED, TWICE
from amlprognosis.study import Study

CONFOUNDED = 0.05
SHARED_BY_TWO = "patients shared by validation cohorts"


def quality_notes(study: Study, identity: pd.DataFrame, effects: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Source, item and note of what the quality pages raise.

    Parameters
    ----------
    study : Study
    identity : DataFrame
        As :func:`amlprognosis.normalize.identity.sample_identity`. Duplicated profiles and swaps are told by the
        leakage checks, but for copies whose records contradict each other.
    effects : DataFrame
        As :func:`amlprognosis.evaluation.batch_effects.assess_batches`.
    """
    rows: list[tuple[str, str, str]] = []
    sexed = identity[(identity["check"] == SEX) & (identity["verdict"] == SUSPECT)]
    for cohort, part in sexed.groupby("cohort", sort=False):
        named = part.loc[part["patient"] != EVERYBODY, "patient"]
        if len(named):
            text = f"recorded sex and expression contradict each other in {shown(named)}; see the quality page"
        else:
            text = f"sex: {part['finding'].iloc[0]}"
        rows.append(("data quality", str(cohort), text))
    twice = identity[(identity["check"] == TWICE) & (identity["verdict"] == SUSPECT)]
    for row in twice[twice["evidence"] == A_COPY].itertuples():
        rows.append(("data quality", f"{row.cohort}: {row.patient}", str(row.finding)))
    plain = effects[(effects["kind"] == BATCH) & (effects["matrix"] == AS_BUILT)]
    for row in plain[plain["verdict"].isin([CLEAR, STRONG])].itertuples():
        corrected = row.column == study.features.batch and row.cohort == study.training
        text = f"expression differs by {row.column} ({row.verdict}: {row.explained:.0%} of the first ten components)"
        if row.logrank_p < CONFOUNDED:
            text += "; its groups differ in survival, too: correcting them removes outcome signal"
        elif corrected:
            text += "; corrected in every training part"
        rows.append(("data quality", str(row.cohort), text))
    if study.features.batch is not None:
        text = (
            f"batches by {study.features.batch} are corrected, in every training part anew; validation cohorts and new "
            "patients stay as they are"
        )
        rows.append(("design", "features.batch", text))
    return rows


def identity_checks(identity: pd.DataFrame, training: str) -> list[tuple[str, str, str, float, str, str]]:
    """Rows of the leakage checks: samples that were swapped, and patients that two validation cohorts share.

    Cohorts that have no id in common have nothing to swap, and no row.
    """
    rows: list[tuple[str, str, str, float, str, str]] = []
    whole = identity[(identity["patient"] == EVERYBODY) & identity["check"].isin([SWAPPED, ACROSS])]
    for row in whole.itertuples():
        cohort, check = str(row.cohort), str(row.check)
        if check == ACROSS and cohort.startswith(f"{training} + "):
            continue  # a check of its own
        if check == SWAPPED and row.verdict not in (SUSPECT, "clean"):
            continue
        own = identity[(identity["cohort"] == cohort) & (identity["check"] == check)]
        found = own[(own["patient"] != EVERYBODY) & own["verdict"].isin([SUSPECT, SHARED])]
        verdict = "suspect" if len(found) else str(row.verdict)
        name = SHARED_BY_TWO if check == ACROSS else SWAPPED
        rows.append((name, cohort, EVERYBODY, float(len(found)), verdict, f"{row.finding}; {row.evidence}"))
        if len(found):
            rows.append((name, cohort, shown(found["patient"]), float(len(found)), "suspect", str(row.finding)))
    return rows
