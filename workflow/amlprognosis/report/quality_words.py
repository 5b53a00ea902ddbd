"""What a reader should know of a cohort's data: sentences written from the tables by fixed rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from amlprognosis.cohort import exclusions, preprocessing, shown
from amlprognosis.evaluation.batch_effects import AS_BUILT, BATCH, CLEAR, COHORT, SLIGHT, STRONG, TECHNICAL, UNCHECKED
from amlprognosis.normalize import identity
from amlprognosis.normalize.sample_quality import OUTLIER
from amlprognosis.report.theme import fixed, percent
from amlprognosis.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

GOOD, CAUTION, BAD, PLAIN = "good", "caution", "bad", "plain"
MARKS = {GOOD: "✓", CAUTION: "!", BAD: "✗", PLAIN: "·"}
# Shares of patients without a value, and of a sample's values missing, above which it is said.
MUCH_MISSING = 0.2
# Largest library by the smallest above which depth itself may tell patients apart.
UNEVEN = 10.0
SEEN = (SLIGHT, CLEAR, STRONG)
SCALES = {
    "counts": "counts",
    "tpm": "transcripts per million (TPM)",
    "log2": "log2 values",
    "linear": "linear values",
    "log2_ratio": "log2 ratios",
}
METHODS = {"tmm": "TMM", "upper_quartile": "upper quartile", "vst": "variance-stabilising transformation"}


@dataclass(frozen=True)
class Finding:
    """A sentence with its level: good, caution, bad or plain."""

    level: str
    text: str

    @property
    def mark(self) -> str:
        """Sign of the level."""
        return MARKS[self.level]


def findings(
    study: Study, name: str, adata: AnnData, record: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> list[Finding]:
    """The list on top of the page.

    Parameters
    ----------
    study : Study
    name : str
        Name of the cohort.
    adata : AnnData
    record : mapping
        What was recorded of the normalisation (:func:`amlprognosis.normalize.sample_quality.recorded_quality`).
    tables : mapping of name to DataFrame
        batch_effects, sample_identity, sample_quality of the whole study.
    """
    samples = tables["sample_quality"]
    samples = samples[samples["cohort"] == name]
    return [
        *_size(adata),
        *_values(adata, record),
        *_samples(samples),
        *_batches(study, name, tables["batch_effects"]),
        *_platform(study, name, tables["batch_effects"]),
        *_identity(study, name, tables["sample_identity"]),
        *_clinical(adata.obs),
    ]


def count(number: int, one: str, many: str = "") -> str:
    """``1 patient``, ``3 patients``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _size(adata: AnnData) -> Iterator[Finding]:
    left_out = exclusions(adata)
    deaths = int(adata.obs["os_event"].sum())
    text = f"{count(adata.n_obs, 'patient')} with {count(deaths, 'death')} and {count(adata.n_vars, 'gene')}"
    reasons = left_out["reason"].astype(str).value_counts()
    why = shown([f"{reason}: {number}" for reason, number in sorted(reasons.items())], 4)
    yield Finding(PLAIN, f"{text}; {count(len(left_out), 'sample')} left out{f' ({why})' if why else ''}.")


def _values(adata: AnnData, record: Mapping[str, Any]) -> Iterator[Finding]:
    scale = record.get("scale")
    if not scale:
        steps = preprocessing(adata)
        told = steps.loc[steps["step"] == "scale", "detail"]
        if len(told):
            yield Finding(PLAIN, f"Scale of the source: {told.iloc[0]}.")
        return
    doubts = list(scale.get("doubts") or [])
    verdict = str(scale.get("verdict", ""))
    kind = f"The source holds {SCALES.get(verdict, verdict)}"
    processing = f", recognised as {scale['processing']}" if scale.get("processing") else ""
    evidence = f" ({scale['evidence']})" if scale.get("evidence") else ""
    yield Finding(CAUTION if doubts else GOOD, f"{kind}{processing}{evidence}.")
    for doubt in doubts:
        yield Finding(CAUTION, str(doubt).rstrip(".") + ".")


def _samples(samples: pd.DataFrame) -> Iterator[Finding]:
    outliers = samples.loc[samples["correlation_z"] < OUTLIER, "patient"]
    if samples["correlation_z"].notna().any():
        if len(outliers):
            text = f"{count(len(outliers), 'sample is', 'samples are')} unlike all others ({shown(outliers)})"
            yield Finding(CAUTION, f"{text}: a failed array, a library of poor quality, or a rare disease.")
        else:
            yield Finding(GOOD, "No sample is an outlier by its correlation to the others.")
    missing = samples["missing_share"].fillna(0.0)
    if missing.max() > 0:
        much = samples.loc[missing > MUCH_MISSING, "patient"]
        text = f"{percent(missing.mean(), 1)} of the values are missing"
        more = f"; more than {percent(MUCH_MISSING)} in {shown(much)}" if len(much) else ""
        yield Finding(CAUTION if len(much) else PLAIN, f"{text}{more}.")
    library = samples["library_size"].dropna()
    if len(library) and library.min() > 0:
        ratio = float(library.max() / library.min())
        if ratio > UNEVEN:
            yield Finding(CAUTION, f"The deepest library has {ratio:.0f} times the reads of the shallowest.")


def _share(row: Any) -> str:
    return f"{percent(row.explained)} of the variance of the first ten components"


def _batches(study: Study, name: str, effects: pd.DataFrame) -> Iterator[Finding]:
    own = effects[(effects["cohort"] == name) & effects["kind"].isin([BATCH, TECHNICAL])]
    plain = own[own["matrix"] == AS_BUILT]
    if not plain["kind"].eq(BATCH).any():
        text = (
            "No column of batches is known (clinical.categories maps none): plates, centres or dates cannot be judged."
        )
        yield Finding(PLAIN, text)
    for row in plain.itertuples():
        verdict = str(row.verdict)
        if verdict == UNCHECKED:
            yield Finding(PLAIN, f"Batches by {row.column}: not checked ({row.note}).")
            continue
        if verdict not in SEEN:
            yield Finding(GOOD, f"Expression does not differ by {row.column}.")
            continue
        text = f"Expression differs by {row.column}: {verdict}, {_share(row)}"
        confounded = row.kind == BATCH and float(row.logrank_p) < 0.05
        if confounded:
            text += "; its groups differ in survival, too: correcting them would remove outcome signal"
        if row.kind == BATCH and study.features.batch == row.column:
            text += "; corrected in every training part"
        heavy = verdict in (CLEAR, STRONG)
        yield Finding(BAD if confounded and heavy else CAUTION if heavy or confounded else PLAIN, f"{text}.")
    for row in own[own["matrix"] != AS_BUILT].itertuples():
        if row.kind == BATCH and f"corrected: {row.column}" == row.matrix:
            yield Finding(PLAIN, f"After the correction by {row.column}: {row.verdict}, {_share(row)}.")


def _platform(study: Study, name: str, effects: pd.DataFrame) -> Iterator[Finding]:
    if name == study.training:
        return
    pairs = effects[(effects["kind"] == COHORT) & (effects["cohort"] == f"{study.training} + {name}")]
    training, main = study.cohort_label(study.training), study.cohorts[name].adaptation[0].replace("_", " ")
    before = pairs[pairs["matrix"] == AS_BUILT]
    after = pairs[pairs["matrix"] != AS_BUILT]
    for row in before.itertuples():
        if row.verdict == UNCHECKED:
            yield Finding(PLAIN, f"Distance from {training}: not checked ({row.note}).")
            continue
        heavy = row.verdict in (CLEAR, STRONG)
        how = f"Values as built differ from {training}: {row.verdict}, {_share(row)}"
        if row.verdict not in SEEN:
            yield Finding(GOOD, f"Values as built do not differ from {training}.")
        elif len(after):
            yield Finding(PLAIN, f"{how}; what that leaves after the adaptation stands next.")
        else:
            yield Finding(BAD if row.verdict == STRONG else CAUTION if heavy else PLAIN, f"{how}; no adaptation.")
    for row in after.itertuples():
        if row.verdict in SEEN:
            text = f"After the adaptation ({main}) it still differs: {row.verdict}, {_share(row)}."
            yield Finding(CAUTION if row.verdict in (CLEAR, STRONG) else PLAIN, text)
        else:
            why = ", as each gene is brought to its mean and spread there" if row.matrix == "cohort_rescaling" else ""
            yield Finding(GOOD, f"After the adaptation ({main}) it does not differ from {training}{why}.")


_LEVELS = {
    identity.SUSPECT: BAD,
    identity.SHARED: CAUTION,
    identity.CLEAN: GOOD,
    identity.UNDECIDED: CAUTION,
    identity.UNCHECKED: PLAIN,
}


def of_cohort(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows about a cohort, alone or with another."""
    return table[[name in str(cohort).split(" + ") for cohort in table["cohort"]]]


def cohort_words(study: Study, cohorts: str) -> str:
    """Labels of the cohorts of a row."""
    return " and ".join(study.cohort_label(part) for part in str(cohorts).split(" + "))


def _identity(study: Study, name: str, table: pd.DataFrame) -> Iterator[Finding]:
    own = of_cohort(table, name)
    whole = own[own["patient"] == identity.EVERYBODY]
    for row in whole[whole["cohort"] == name].itertuples():
        yield _identity_finding(own, row, "")
    across = whole[whole["cohort"] != name]
    clean = across[(across["check"] == identity.ACROSS) & (across["verdict"] == identity.CLEAN)]
    nobody = clean[clean["finding"].str.startswith("0 patients")]
    if len(nobody):
        others = [part for cohort in nobody["cohort"] for part in str(cohort).split(" + ") if part != name]
        labels = " or ".join(study.cohort_label(other) for other in others)
        yield Finding(GOOD, f"No patient stands in {labels}, too, by id and by profile.")
    for row in across.drop(index=nobody.index).itertuples():
        # Told in the table: between cohorts there is often nothing to compare.
        if row.verdict != identity.UNCHECKED:
            yield _identity_finding(own, row, f" ({cohort_words(study, str(row.cohort))})")


def _identity_finding(own: pd.DataFrame, row: Any, where: str) -> Finding:
    text = f"{row.check[:1].upper()}{row.check[1:]}{where}: {row.finding}"
    if row.verdict == identity.UNCHECKED:
        text += f" ({row.evidence})"
    named = own[(own["cohort"] == row.cohort) & (own["check"] == row.check) & (own["verdict"] == identity.SUSPECT)]
    named = named[named["patient"] != identity.EVERYBODY]
    if len(named):
        text += f": {shown(named['patient'])}"
    return Finding(_LEVELS[str(row.verdict)], f"{text}.")


def _clinical(obs: pd.DataFrame) -> Iterator[Finding]:
    lacking = [column for column in ("age", "sex", "risk") if column not in obs or obs[column].isna().all()]
    if lacking:
        yield Finding(
            CAUTION, f"No {' and no '.join(lacking)}: what models and comparators need of it is filled or refused."
        )
    share = obs.isna().mean()
    for column in [c for c in obs.columns if MUCH_MISSING < share[c] < 1]:
        yield Finding(CAUTION, f"{column} is missing in {percent(share[column])} of the patients.")
    early = float((obs["os_time"] < 30).mean())
    if early > 0.1:
        yield Finding(
            PLAIN, f"{percent(early)} of the patients were followed or lived for less than {fixed(30, 0)} days."
        )
