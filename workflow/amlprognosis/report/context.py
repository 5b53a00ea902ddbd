"""What the report says beside the results: command, versions, the study as YAML, gene sets, rule graph."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

import amlprognosis
from amlprognosis.study import Study

PACKAGES = (
    "snakemake", "numpy", "scipy", "pandas", "scikit-learn", "scikit-survival", "lifelines", "xgboost-cpu", "xgboost",
    "anndata", "scanpy", "umap-learn", "leidenalg", "numba", "altair", "vl-convert-python",
)  # fmt: skip


def default_context(study: Study) -> dict[str, Any]:
    """Context of a report as far as the installation and the study tell it.

    Returns
    -------
    dict
        ``command``, ``software``, ``edges``, ``study_yaml``, ``gene_sets``; see
        :func:`amlprognosis.report.pages.write_report`.
    """
    return {
        "command": default_command(study),
        "software": software_versions(),
        "edges": workflow_edges(study),
        "study_yaml": study_text(study),
        "gene_sets": gene_sets(study),
    }


def default_command(study: Study) -> str:
    """Command that runs the study again."""
    if study.study == "demo" and study.simulate:
        return "snakemake --cores all"
    return f"snakemake --cores all --configfile {study.study}.yaml"


def software_versions() -> dict[str, str]:
    """Versions of this package, of Python and of the packages that make the numbers."""
    found = {"amlprognosis": amlprognosis.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def study_text(study: Study) -> str:
    """The study's settings as YAML, as far as they were given."""
    content = study.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def gene_sets(study: Study) -> list[dict[str, Any]]:
    """Candidate gene sets of the index from the study's GMT file; empty when the file is not here."""
    path = Path(study.gene_sets.file)
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        name, *rest = line.rstrip("\n").split("\t")
        if len(rest) < 2 or (study.gene_sets.sets and name not in study.gene_sets.sets):
            continue
        found.append({"set": name.replace("_", " "), "genes": len([g for g in rest[1:] if g]), "source": rest[0]})
    return sorted(found, key=lambda item: item["set"])


def workflow_edges(study: Study) -> list[tuple[str, str]]:
    """Rules of the workflow that this study runs, as pairs: from a rule to one that uses its output.

    A test compares them with Snakemake's own rule graph.
    """
    kinds = {cohort.source.type for cohort in study.cohorts.values()}
    edges = [("retrieve", "build_cohort")] if kinds & {"geo", "gdc"} else []
    if study.simulate:
        edges += [("simulate", "retrieve")] if edges or study.atlases else []
        edges += [("simulate", "build_cohort")] if "tables" in kinds else []
    edges += [
        ("build_cohort", "design"), ("build_cohort", "describe"), ("design", "describe"),
        ("design", "crossvalidate"), ("design", "fit"), ("design", "controls"),
        ("design", "leaderboard"), ("crossvalidate", "leaderboard"), ("fit", "leaderboard"),
        ("design", "index"), ("crossvalidate", "index"), ("fit", "index"), ("leaderboard", "index"),
        ("design", "compare"), ("build_cohort", "compare"), ("crossvalidate", "compare"), ("index", "compare"),
        ("describe", "notes"), ("design", "notes"), ("crossvalidate", "notes"), ("leaderboard", "notes"),
        ("leakage_checks", "notes"),
        ("build_cohort", "cards"), ("design", "cards"), ("fit", "cards"), ("leaderboard", "cards"),
    ]  # fmt: skip
    if study.models.grid_run:
        users = ("leaderboard", "index", "compare", "notes", "subgroups", "seed_stability")
        edges += [("design", "crossvalidate_grid"), *(("crossvalidate_grid", user) for user in users)]
        edges.append(("leaderboard", "compare"))
    edges += [("build_cohort", "subgroups"), ("crossvalidate", "subgroups")]
    edges += [("build_cohort", "seed_stability"), ("design", "seed_stability"), ("crossvalidate", "seed_stability")]
    edges += [("build_cohort", "quality"), ("design", "quality"), ("quality", "leakage_checks"), ("quality", "notes")]
    edges += [("build_cohort", "leakage_checks"), ("design", "leakage_checks"), ("fit", "compare")]
    edges += [(rule, "controls_validation") for rule in ("controls", "design", "build_cohort")]
    tables = ["describe", "leaderboard", "index", "compare", "controls_validation", "notes", "subgroups"]
    tables += ["seed_stability", "leakage_checks"]
    edges += [(rule, target) for rule in tables for target in ("risk_of_bias", "checklist")]
    edges += [("risk_of_bias", "checklist"), ("risk_of_bias", "html_report"), ("checklist", "html_report")]
    if study.validation:
        edges += [
            ("build_cohort", "validate"), ("design", "validate"), ("fit", "validate"), ("validate", "compare"),
            ("validate", "notes"), ("validate", "subgroups"),
        ]  # fmt: skip
    if study.atlases:
        edges += [("retrieve", "build_atlas"), ("build_atlas", "score_atlas"), ("index", "score_atlas")]
        tables += ["build_atlas", "score_atlas"]
    if study.simulate:
        edges += [(rule, "planted") for rule in ("simulate", "design", "index", "leaderboard", "compare")]
        tables.append("planted")
    edges += [(rule, target) for rule in tables for target in ("figures", "html_report")]
    return [*edges, ("build_cohort", "html_report"), ("figures", "html_report")]
