"""The cohort contract: what every cohort looks like once it has been read and normalised.

A cohort is an AnnData of patients x genes. ``X`` holds log2 expression (float32, NaN = missing), ``obs`` the outcome
and clinical columns, ``obsm["mutations"]`` a patients x genes frame of 0/1/NaN (not tested), and ``uns`` where the
data came from, who was left out and what was done to the numbers.
"""

from __future__ import annotations

import difflib
import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

MIN_EVENTS = 10
SEXES = ("female", "male")
RISKS = ("favourable", "intermediate", "adverse")
EXCLUSION_COLUMNS = ("patient", "reason")
STEP_KEYS = ("step", "detail", "before", "after", "dropped", "reason")


@dataclass
class RawCohort:
    """What a source says about a cohort, before any normalisation.

    Attributes
    ----------
    expression : DataFrame of shape (n_samples, n_ids)
        Values as the source gives them; index = sample id, columns = gene or probe ids.
    scale : {"auto", "counts", "tpm", "log2", "linear", "log2_ratio"}
        What the numbers are.
    gene_ids : {"symbol", "ensembl", "entrez", "refseq", "probe"}
        What the columns of ``expression`` are.
    clinical : DataFrame of str of shape (n_rows, n_columns)
        Texts as the source gives them; index = sample id (or patient id where the source has no samples).
    patients : Series
        Patient id by sample id, for every sample of ``expression`` and every row of ``clinical``.
    gene_map : Series or None
        Symbol text by gene or probe id; several symbols are joined by `` /// ``.
    mutations : DataFrame or None
        Non-silent mutations, patients x genes, 0/1.
    tested : frozenset of str
        Patients whose tumour was sequenced; all others are NaN in the cohort.
    exclusions : list of dict
        ``{"patient", "reason"}`` of samples that the source rules out already (aliquots, normal tissue).
    provenance : list of dict
        ``{"url", "path", "size", "sha256", "date", "licence"}`` per file.
    steps : list of dict
        Steps already taken, with the keys of ``STEP_KEYS``.
    origin : str
        How errors call the source.
    clinical_origin : str
        How errors call its clinical table, where that is a file of its own; else ``origin``.
    array : bool
        True for arrays: quantile normalisation and probe rules apply.
    """

    expression: pd.DataFrame
    scale: str
    gene_ids: str
    clinical: pd.DataFrame
    patients: pd.Series
    gene_map: pd.Series | None = None
    mutations: pd.DataFrame | None = None
    tested: frozenset[str] = frozenset()
    exclusions: list[dict[str, str]] = field(default_factory=list)
    provenance: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    origin: str = "the cohort"
    clinical_origin: str = ""
    array: bool = False


def step(
    name: str, detail: str, before: int | None = None, after: int | None = None, reason: str = ""
) -> dict[str, Any]:
    """One line of the preprocessing report; ``dropped`` is ``before - after``."""
    dropped = before - after if before is not None and after is not None else None
    return {"step": name, "detail": detail, "before": before, "after": after, "dropped": dropped, "reason": reason}


def shown(items: Iterable[Any], limit: int = 8) -> str:
    """Some items for a message: the first ones, and how many there are in all."""
    items = [str(item) for item in items]
    text = ", ".join(items[:limit])
    return f"{text}, ... ({len(items)} in all)" if len(items) > limit else text


def require_column(columns: Iterable[str], wanted: str, place: str) -> None:
    """Refuse a mapped column that a table lacks.

    Raises
    ------
    InputError
        With the nearest name and the columns that exist.
    """
    columns = [str(name) for name in columns]
    if wanted in columns:
        return
    lowered = {name.lower(): name for name in columns}
    near = difflib.get_close_matches(wanted.lower(), list(lowered), n=1, cutoff=0.5)
    hint = f"; did you mean {lowered[near[0]]!r}?" if near else "."
    raise InputError(f"{place}: no column {wanted!r}{hint} The columns are: {shown(columns, 40)}")


def validate_cohort(adata: AnnData, *, name: str = "cohort") -> None:
    """Check the cohort contract.

    Parameters
    ----------
    adata : AnnData of shape (n_patients, n_genes)
        The cohort.
    name : str
        How errors call it.

    Raises
    ------
    InputError
        One line per violation.
    """
    faults = [*_obs_faults(adata), *_matrix_faults(adata), *_attached_faults(adata)]
    if faults:
        raise InputError("\n".join(f"{name}: {fault}" for fault in faults))


def _duplicates(index: pd.Index) -> list[str]:
    return sorted({str(item) for item in index[index.duplicated()]})


def _obs_faults(adata: AnnData) -> Iterable[str]:
    obs = adata.obs
    if adata.n_obs == 0:
        yield "no patients are left; see the exclusions"
        return
    twice = _duplicates(adata.obs_names)
    if twice:
        yield f"patients named more than once: {shown(twice)}"
    if "os_time" not in obs:
        yield "obs['os_time'] (days) is missing"
    elif not pd.api.types.is_float_dtype(obs["os_time"]):
        yield f"obs['os_time'] must be float days, is {obs['os_time'].dtype}"
    else:
        time = obs["os_time"].to_numpy(dtype=float)
        wrong = ~np.isfinite(time) | (time <= 0)
        if wrong.any():
            yield f"obs['os_time'] must be finite and > 0 days; not so for {shown(obs.index[wrong])}"
    if "os_event" not in obs:
        yield "obs['os_event'] (True = death) is missing"
    elif obs["os_event"].dtype != np.dtype(bool):
        yield f"obs['os_event'] must be bool, is {obs['os_event'].dtype}"
    elif obs["os_event"].nunique() < 2:
        what = "dead" if bool(obs["os_event"].iloc[0]) else "alive (censored)"
        yield (
            f"the outcome is constant: all {adata.n_obs} patients are {what}; "
            "check clinical.os_event.dead and clinical.os_event.alive"
        )
    for column, allowed in (("sex", SEXES), ("risk", RISKS)):
        if column in obs:
            other = sorted({str(v) for v in obs[column].dropna()} - set(allowed))
            if other:
                yield f"obs['{column}'] holds {shown(other)}; allowed: {', '.join(allowed)} or missing"
    if "age" in obs:
        age = pd.to_numeric(obs["age"], errors="coerce").to_numpy(dtype=float)
        wrong = np.isinf(age) | (age < 0) | (age > 120)
        if wrong.any():
            named = shown(obs.index[wrong])
            yield f"obs['age'] must be years between 0 and 120; not so for {named} (clinical.age.unit?)"


_FEW_GENES = 10  # fewer may have the same value by chance


def _matrix_faults(adata: AnnData) -> Iterable[str]:
    if adata.n_vars == 0:
        yield "no genes are left; see the preprocessing steps"
        return
    twice = _duplicates(adata.var_names)
    if twice:
        yield f"gene symbols named more than once: {shown(twice)}"
    if "ensembl" not in adata.var:
        yield "var['ensembl'] is missing (an empty text where unknown)"
    matrix = adata.X
    if not isinstance(matrix, np.ndarray) or matrix.dtype != np.float32:
        yield f"X must be a dense float32 array, is {getattr(matrix, 'dtype', type(matrix).__name__)}"
    elif np.isinf(matrix).any():
        rows, columns = np.nonzero(np.isinf(matrix))
        places = [f"{adata.obs_names[r]}/{adata.var_names[c]}" for r, c in zip(rows[:8], columns[:8], strict=True)]
        yield f"X holds infinite values, e.g. {shown(places)}"
    elif np.isnan(matrix).all(axis=1).any():
        yield f"no value at all for {shown(adata.obs_names[np.isnan(matrix).all(axis=1)])}"
    elif adata.n_vars >= _FEW_GENES and (flat := np.nanmax(matrix, axis=1) == np.nanmin(matrix, axis=1)).any():
        yield f"the same value in every gene of {shown(adata.obs_names[flat])}: no measurement; leave these samples out"


def _attached_faults(adata: AnnData) -> Iterable[str]:
    for key in adata.obsm:
        frame = adata.obsm[key]
        if isinstance(frame, pd.DataFrame) and not frame.index.equals(adata.obs_names):
            yield f"obsm['{key}'] is not aligned with the patients"
    if "mutations" in adata.obsm:
        frame = adata.obsm["mutations"]
        if not isinstance(frame, pd.DataFrame):
            yield "obsm['mutations'] must be a DataFrame"
        elif not (frame.isna() | (frame == 0) | (frame == 1)).all(axis=None):
            yield "obsm['mutations'] may hold only 0, 1 and missing"
    for key in ("provenance", "preprocessing"):
        if key not in adata.uns:
            yield f"uns['{key}'] is missing"
        elif not _is_json_list(adata.uns[key]):
            yield f"uns['{key}'] must be a JSON list in a string"
    table = adata.uns.get("exclusions")
    if not isinstance(table, pd.DataFrame) or list(table.columns) != list(EXCLUSION_COLUMNS):
        yield "uns['exclusions'] must be a DataFrame with the columns patient, reason"


def _is_json_list(text: Any) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except (TypeError, ValueError):
        return False


def check_outcome(adata: AnnData, *, name: str = "cohort", min_events: int = MIN_EVENTS) -> None:
    """Refuse a training cohort from which nothing can be learned.

    Raises
    ------
    InputError
        Fewer than ``min_events`` deaths, or a constant outcome.
    """
    events = int(adata.obs["os_event"].sum())
    if events == 0 or events == adata.n_obs:
        what = "died" if events else "is alive (censored)"
        raise InputError(
            f"{name}: the outcome is constant: every one of the {adata.n_obs} patients {what}; "
            "check clinical.os_event.dead and clinical.os_event.alive"
        )
    if events < min_events:
        raise InputError(
            f"{name}: only {events} deaths among {adata.n_obs} patients; a training cohort needs at least "
            f"{min_events}. "
            "Use a larger or longer-followed cohort, or check clinical.os_event and the exclusions"
        )
    if adata.obs["os_time"].nunique() == 1:
        raise InputError(
            f"{name}: the outcome is constant: every patient's os_time is {adata.obs['os_time'].iloc[0]:g} days; "
            "check clinical.os_time"
        )


def write_cohort(adata: AnnData, path: str | Path) -> None:
    """Validate and write a cohort; equal cohorts give equal content, and the file appears whole or not at all."""
    path = Path(path)
    validate_cohort(adata, name=path.stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with warnings.catch_warnings():
            # anndata 0.12 announces its future string and format changes; what we store is unaffected.
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"anndata")
            warnings.filterwarnings("ignore", category=UserWarning, module=r"anndata")
            _storable(adata).write_h5ad(temporary, compression="lzf")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _storable(adata: AnnData) -> AnnData:
    """Copy whose text columns are plain objects or categoricals, which every anndata version reads back alike."""
    adata = adata.copy()
    for frame in (adata.obs, adata.var):
        for column in frame.columns:
            if isinstance(frame[column].dtype, pd.StringDtype) or frame[column].dtype == object:
                values = frame[column].astype(object)
                missing = values.isna()
                frame[column] = pd.Categorical(values) if missing.any() else values.map(str).astype(object)
    adata.uns = dict(sorted(adata.uns.items()))
    return adata


def read_cohort(path: str | Path) -> AnnData:
    """Read and validate a cohort written by :func:`write_cohort`.

    Raises
    ------
    InputError
        The file does not exist, is no h5ad file, or violates the contract.
    """
    import anndata

    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such cohort file; run the rule that assembles it")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"anndata")
            adata = anndata.read_h5ad(path)
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not a readable h5ad file ({error}); delete it and run again") from None
    for key in list(adata.obsm):
        if isinstance(adata.obsm[key], pd.DataFrame):
            adata.obsm[key].index = adata.obs_names
    if isinstance(adata.uns.get("exclusions"), pd.DataFrame):
        adata.uns["exclusions"] = adata.uns["exclusions"].astype(object).reset_index(drop=True)
    validate_cohort(adata, name=str(path))
    return adata


def exclusions(adata: AnnData) -> pd.DataFrame:
    """Patients left out, columns ``patient`` and ``reason``, sorted by reason and patient."""
    table = pd.DataFrame(adata.uns["exclusions"]).astype(object)
    return table.sort_values(["reason", "patient"], kind="stable").reset_index(drop=True)


def preprocessing(adata: AnnData) -> pd.DataFrame:
    """Steps that made the matrix, in their order; columns as ``STEP_KEYS``."""
    return pd.DataFrame(json.loads(adata.uns["preprocessing"]), columns=list(STEP_KEYS))


def provenance(adata: AnnData) -> pd.DataFrame:
    """Files that the cohort was read from: ``url path size sha256 date licence``."""
    return pd.DataFrame(json.loads(adata.uns["provenance"]))
