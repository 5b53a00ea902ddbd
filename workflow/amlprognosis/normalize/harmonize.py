"""From cohorts to features: shared genes, the training matrix, the same features of other cohorts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from amlprognosis.cohort import require_column, shown, step
from amlprognosis.errors import InputError
from amlprognosis.normalize.platform import EXPRESSION
from amlprognosis.study import Study

if TYPE_CHECKING:
    from anndata import AnnData


def shared_genes(cohorts: Mapping[str, AnnData]) -> list[str]:
    """Genes measured in every cohort, by name only, sorted.

    Raises
    ------
    InputError
        None; with the number of genes and examples of each cohort.
    """
    shared: set[str] | None = None
    for adata in cohorts.values():
        shared = set(adata.var_names) if shared is None else shared & set(adata.var_names)
    if not shared:
        held = [
            f"{name}: {adata.n_vars} genes ({shown(sorted(adata.var_names), 3)})" for name, adata in cohorts.items()
        ]
        raise InputError(
            "no gene is shared between the cohorts. "
            + "; ".join(held)
            + ". Are gene_ids and gene_map of each cohort right (symbols, Ensembl ids or probes)?"
        )
    return sorted(shared)


def design_matrix(study: Study, adatas: Mapping[str, AnnData]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The training matrix.

    Parameters
    ----------
    study : Study
        Which genes, clinical columns and mutations.
    adatas : mapping of str to AnnData
        Every bulk cohort of the study. Of validation cohorts only the gene names are looked at.

    Returns
    -------
    features : DataFrame of float64 of shape (n_patients, 2 + n_features)
        ``os_time`` (days), ``os_event`` (bool), then ``expression:``, ``clinical:`` and ``mutation:`` columns; index
        = patient.
    report : list of dict
        Preprocessing steps.

    Raises
    ------
    InputError
        No shared gene, or a clinical column that the training cohort lacks.
    """
    training = adatas[study.training]
    genes = sorted(training.var_names)
    report = []
    if study.features.genes == "shared" and len(adatas) > 1:
        shared = shared_genes(adatas)
        report.append(
            step(
                "shared genes",
                f"measured in each of {shown(sorted(adatas))}; by name only",
                len(genes),
                len(shared),
                "not measured everywhere",
            )
        )
        genes = shared
    else:
        report.append(step("genes", "all genes of the training cohort", len(genes), len(genes)))
    clinical, more = _clinical(study, training, f"cohorts.{study.training}", required=True)
    mutations, extra = _mutations(study, training)
    blocks = [_expression(training, genes), clinical, mutations]
    features = pd.concat([_outcome(training), *blocks], axis=1)
    return features, [*report, *more, *extra]


def validation_features(
    study: Study, name: str, adata: AnnData, columns: list[str]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Features of a validation cohort in the columns of the training matrix.

    Parameters
    ----------
    study : Study
        The study.
    name : str
        Name of the cohort.
    adata : AnnData
        The cohort.
    columns : list of str
        Feature columns of the training matrix (``os_time`` and ``os_event`` are passed over).

    Returns
    -------
    features : DataFrame of float64
        ``os_time``, ``os_event`` and ``columns``; NaN for features that the cohort lacks.
    report : list of dict
        How many features it lacks.
    """
    columns = [column for column in columns if column not in {"os_time", "os_event"}]
    genes = [column.removeprefix(EXPRESSION) for column in columns if column.startswith(EXPRESSION)]
    present = set(adata.var_names)
    clinical, _ = _clinical(study, adata, f"cohorts.{name}", required=False)
    mutations, _ = _mutations(study, adata)
    own = pd.concat([_expression(adata, [gene for gene in genes if gene in present]), clinical, mutations], axis=1)
    lacking = [column for column in columns if column not in own or own[column].isna().all()]
    features = pd.concat([_outcome(adata), own.reindex(columns=columns).astype(float)], axis=1)
    detail = f"{name} lacks {shown(lacking, 6)}" if lacking else f"{name} has every feature"
    return features, [
        step("features of a validation cohort", detail, len(columns), len(columns) - len(lacking), "not measured")
    ]


def _outcome(adata: AnnData) -> pd.DataFrame:
    index = pd.Index([str(name) for name in adata.obs_names], name="patient", dtype=object)
    return pd.DataFrame(
        {
            "os_time": adata.obs["os_time"].to_numpy(dtype=float),
            "os_event": adata.obs["os_event"].to_numpy(dtype=bool),
        },
        index=index,
    )


def _expression(adata: AnnData, genes: list[str]) -> pd.DataFrame:
    places = adata.var_names.get_indexer(genes)
    index = pd.Index([str(name) for name in adata.obs_names], name="patient", dtype=object)
    values = np.asarray(adata.X)[:, places].astype(float)
    return pd.DataFrame(values, index=index, columns=[f"{EXPRESSION}{gene}" for gene in genes])


def clinical_columns(obs: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Clinical features of patients.

    Parameters
    ----------
    obs : DataFrame, index = patient
        ``age`` (years), ``sex`` (female, male), ``risk`` (favourable, intermediate, adverse), numeric columns.
    names : iterable of str
        Columns of ``obs`` that become features.

    Returns
    -------
    DataFrame of float64
        ``clinical:<name>``; of sex the indicator ``clinical:sex_male``, of risk ``clinical:risk_intermediate`` and
        ``clinical:risk_adverse``. NaN = missing.
    """
    columns: dict[str, np.ndarray] = {}
    for name in names:
        values = obs[name]
        if name == "sex":
            columns["clinical:sex_male"] = values.astype(object).map({"female": 0.0, "male": 1.0}).to_numpy(dtype=float)
        elif name == "risk":
            texts = values.astype(object)
            for group in ("intermediate", "adverse"):
                flags = (texts == group).astype(float).where(texts.notna())
                columns[f"clinical:risk_{group}"] = flags.to_numpy(dtype=float)
        else:
            columns[f"clinical:{name}"] = pd.to_numeric(values).to_numpy(dtype=float)
    index = pd.Index([str(name) for name in obs.index], name="patient", dtype=object)
    return pd.DataFrame(columns, index=index, dtype=float)


def _clinical(study: Study, adata: AnnData, place: str, *, required: bool) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    present = [name for name in study.features.clinical if name in adata.obs]
    absent = [name for name in study.features.clinical if name not in adata.obs]
    for name in absent:
        # age, sex and risk are defaults of features.clinical; a cohort without them simply has no such feature
        if required and name not in ("age", "sex", "risk"):
            require_column(adata.obs.columns, name, f"{place}: features.clinical")
    frame = clinical_columns(adata.obs, present)
    detail = f"{shown(frame.columns) or 'none'}" + (f"; {place} has no {', '.join(absent)}" if absent else "")
    return frame, [
        step("clinical features", detail, len(study.features.clinical), len(study.features.clinical) - len(absent))
    ]


def _mutations(study: Study, adata: AnnData) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    index = pd.Index([str(name) for name in adata.obs_names], name="patient", dtype=object)
    genes = sorted(set(study.features.mutations))
    if "mutations" not in adata.obsm:
        frame = pd.DataFrame(index=index)
        return frame, [step("mutation features", "the cohort has no mutation data", len(genes), 0, "no MAF")]
    table = adata.obsm["mutations"]
    tested = ~table.isna().all(axis=1).to_numpy()
    columns = {
        f"mutation:{gene}": table[gene].to_numpy(dtype=float) if gene in table else np.where(tested, 0.0, np.nan)
        for gene in genes
    }
    frame = pd.DataFrame(columns, index=index, dtype=float)
    return frame, [
        step("mutation features", f"{int(tested.sum())} of {len(table)} patients tested", len(genes), len(genes))
    ]
