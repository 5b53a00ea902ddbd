"""Command line: what a user does outside the workflow."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from amlprognosis import __version__
from amlprognosis.errors import InputError
from amlprognosis.study import check_files, load_merged, load_study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words of the command line; those of the process when left out.

    Returns
    -------
    int
        Exit status: 0, or 2 for bad input, whose message is on standard error.
    """
    parser = argparse.ArgumentParser(prog="amlprognosis", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="validate a study file and the files that it names")
    check.add_argument("study", type=Path, nargs="+", help="the study, and files that are merged over it")
    name = commands.add_parser("name", help="print the short name of a study")
    name.add_argument("study", type=Path)
    validate = commands.add_parser("validate", help="check a cohort (.h5ad) against the cohort contract")
    validate.add_argument("cohort", type=Path)
    catalogue = commands.add_parser("catalogue", help="list the AML resources that a study may name, or show one")
    catalogue.add_argument("entry", nargs="?", help="an entry, such as TCGA-LAML; all of them when left out")
    catalogue.add_argument("--json", action="store_true", help="for programs")
    plan = commands.add_parser("plan", help="what a study would fetch, from where, and how large it is; no network")
    plan.add_argument("study", type=Path, nargs="+", help="the study, and files that are merged over it")
    _predict_words(commands)
    _gene_names_words(commands)
    commands.add_parser("docs", help="write config/schema.json and the key table of config/README.md")
    words = parser.parse_args(arguments)
    try:
        return _COMMANDS[words.command](words)
    except InputError as error:
        print(f"amlprognosis: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"amlprognosis: {error.filename}: cannot be read or written ({error.strerror})", file=sys.stderr)
        return 2


def _check(words: argparse.Namespace) -> int:
    from amlprognosis.catalogue import overlap_warnings
    from amlprognosis.layout import simulated_files

    study, name = load_merged(words.study)
    check_files(study, name=name, produced=frozenset(simulated_files(study).values()))
    models = sum(len(names) for names in study.groups().values())
    for warning in overlap_warnings(study):
        print(f"amlprognosis: warning: {warning}", file=sys.stderr)
    print(f"{name}: study {study.study!r}: {len(study.cohorts)} cohorts, {models} models; no fault found")
    return 0


def _catalogue(words: argparse.Namespace) -> int:
    from amlprognosis.catalogue.show import catalogue_json, entry_text, list_text

    if words.json:
        print(catalogue_json(words.entry))
    else:
        print(entry_text(words.entry) if words.entry else list_text())
    return 0


def _plan(words: argparse.Namespace) -> int:
    from amlprognosis.retrieve.plan import plan_text

    print(plan_text(load_merged(words.study)[0]))
    return 0


def _name(words: argparse.Namespace) -> int:
    print(load_study(words.study).study)
    return 0


def _validate(words: argparse.Namespace) -> int:
    from amlprognosis.cohort import read_cohort, validate_cohort

    cohort = read_cohort(words.cohort)
    validate_cohort(cohort)
    print(f"{words.cohort}: {cohort.n_obs} patients, {int(cohort.obs['os_event'].sum())} deaths, {cohort.n_vars} genes")
    return 0


def _predict_words(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    predict = commands.add_parser(
        "predict",
        help="score new patients with frozen models of a study",
        description="Score new patients with frozen models of a study. What a model reads stands in its card.md.",
        epilog="example: amlprognosis predict --model results/demo/models/gene_index --expression new.tsv "
        "--out predictions.tsv",
    )
    add = predict.add_argument
    add(
        *("--model", "--models"),
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        help="folders of frozen models, results/<study>/models/<model>",
    )
    add("--expression", type=Path, help="gene symbols x patients: TSV, CSV (.gz), parquet or h5ad")
    add(
        "--clinical",
        type=Path,
        help="TSV, CSV or parquet: patient (first column), age (years), sex (female, male), risk (favourable, "
        "intermediate, adverse), numeric columns under the study's names; NA where unknown",
    )
    add("--mutations", type=Path, help="patient (first column) and a column of 0/1 per gene, or a MAF file")
    add(
        "--scale",
        choices=("log2", "linear", "counts"),
        default="log2",
        help="what the expression is (default log2; TPM is linear)",
    )
    add(
        "--orientation",
        choices=("auto", "genes_in_rows", "samples_in_rows"),
        default="auto",
        help="what a row of the expression is (default: told by the genes that the model knows)",
    )
    add(
        "--adaptation",
        choices=("none", "within_sample_ranks", "reference_quantiles", "cohort_rescaling"),
        help="how another platform is met (default: as the model was frozen); cohort_rescaling needs 10 patients",
    )
    add("--out", type=Path, required=True, help="table (tab-separated) of risk, risk group, survival and warnings")
    add("--curves", type=Path, help="table of the full survival curves")
    add("--contributions", type=Path, help="table of what each feature adds to the risk")


def _predict(words: argparse.Namespace) -> int:
    from amlprognosis.evaluation.predict import Tables, predict
    from amlprognosis.tables import write_table

    tables = Tables(words.expression, words.clinical, words.mutations, words.scale, words.orientation)
    wanted = {"curves": words.curves, "contributions": words.contributions}
    _check_destinations(words)
    found = predict(words.model, tables, words.adaptation, **{name: bool(path) for name, path in wanted.items()})
    for note in found.notes:
        print(f"amlprognosis: {note}", file=sys.stderr)
    for path, table in ((words.out, found.table), *((path, getattr(found, name)) for name, path in wanted.items())):
        if path:
            write_table(table, path, decimals=12)
            print(f"wrote {path}")
    return 0


def _check_destinations(words: argparse.Namespace) -> None:
    """Refuse, before anything is read, tables that could not be written or would replace what is read."""
    taken: dict[Path, str] = {}
    for name in ("expression", "clinical", "mutations"):
        path = getattr(words, name)
        if path is not None:
            taken[path.resolve()] = f"--{name}"
    models = {folder.resolve() for folder in words.model}
    for name in ("out", "curves", "contributions"):
        path = getattr(words, name)
        if path is None:
            continue
        place = f"--{name} {path}"
        if path.is_dir():
            raise InputError(f"{place}: a folder; give the name of a file")
        if path.suffix.lower() in (".gz", ".csv", ".parquet", ".h5ad", ".xlsx"):
            raise InputError(f"{place}: tables are written as plain text with tabs; give it a name that ends in .tsv")
        if path.resolve() in taken:
            raise InputError(f"{place}: the same file as {taken[path.resolve()]}; give each table a name of its own")
        if path.resolve().parent in models:
            raise InputError(f"{place}: inside the folder of a frozen model; give a place outside")
        above = next(folder for folder in path.resolve().parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise InputError(f"{place}: nothing can be written in {above}; give another place")
        taken[path.resolve()] = f"--{name}"


def _gene_names_words(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    names = commands.add_parser(
        "gene-names",
        help="show the frozen table of gene names, or make it anew from a download of the HGNC",
        description="Without options: the date of the frozen table and what it holds. With --refresh: the HGNC's "
        "complete set is downloaded (or read with --from) and the table is made anew; commit it, since results depend "
        "on it.",
    )
    names.add_argument("--refresh", action="store_true", help="download hgnc_complete_set.txt and make the table anew")
    names.add_argument("--from", dest="file", type=Path, help="a copy of hgnc_complete_set.txt to make the table from")
    names.add_argument("--date", help="date of the copy given with --from, as 2026-11-21")
    names.add_argument("--look-up", nargs="+", metavar="NAME", help="what the table says of names or ids")


def _gene_names(words: argparse.Namespace) -> int:
    from amlprognosis.normalize.gene_table import describe_table, look_up, refresh_table

    if words.file and not words.date:
        raise InputError(f"--from {words.file}: give the date of this copy with --date, as 2026-11-21")
    if words.refresh or words.file:
        for line in refresh_table(words.file, words.date):
            print(line)
    for line in [look_up(name) for name in words.look_up or ()] or [describe_table()]:
        print(line)
    return 0


def _docs(words: argparse.Namespace) -> int:
    from amlprognosis.study.docs import write_docs

    for path in write_docs(Path.cwd()):
        print(f"wrote {path}")
    return 0


_COMMANDS = {
    "check": _check,
    "catalogue": _catalogue,
    "plan": _plan,
    "name": _name,
    "validate": _validate,
    "predict": _predict,
    "gene-names": _gene_names,
    "docs": _docs,
}


if __name__ == "__main__":
    sys.exit(main())
