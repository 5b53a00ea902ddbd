"""What is measured; each case gives rows of the report."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time as clock
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from amlprognosis.evaluation.metrics import Design as MetricsDesign
from amlprognosis.evaluation.metrics import evaluate
from amlprognosis.evaluation.sheets import Sheet
from amlprognosis.models.base import as_outcome
from amlprognosis.models.combination import Combination
from amlprognosis.models.concordance import harrell_concordance
from amlprognosis.models.cox_kernels import univariate_cox
from amlprognosis.models.cox_lasso import stratified_folds
from amlprognosis.models.families import make_learner
from amlprognosis.study.names import SETS, parse_grid_name
from benchmarks.data import Cohort, simulated, w1
from benchmarks.download import download
from benchmarks.measure import ROOT, Found, Row, median_seconds, run_r
from benchmarks.sources import sources

NAN = float("nan")
# Measured once with R 4.2.2 on a machine of this class, one thread (../shared/PEERS.md).
R_GRID_SECONDS = 562.0
R_FAMILY_SECONDS = {
    "GBM": 196.0, "CoxBoost": 112.0, "StepCox[both]": 68.0, "PLS-Cox": 57.0, "StepCox[backward]": 50.0,
    "SuperPC": 37.0, "Enet": 19.0, "RSF": 10.0, "survival-SVM": 5.0, "Lasso, Ridge": 3.0,
}  # fmt: skip
# C of R's single learners in the other cohort, direction fixed (same source).
R_BULLINGER = {
    "RSF": 0.589, "Enet[alpha=0.1]": 0.555, "Enet[alpha=0.5]": 0.523, "Enet[alpha=0.9]": 0.515, "Lasso": 0.516,
    "Ridge": 0.575, "StepCox[both]": 0.458, "StepCox[backward]": 0.459, "StepCox[forward]": 0.459, "CoxBoost": 0.549,
    "PLS-Cox": 0.468, "SuperPC": 0.554, "survival-SVM": 0.574, "GBM": 0.600,
}  # fmt: skip


def screen(repeats: int, threads: int) -> Found:
    """Univariate Cox screen, 20,000 genes x 300 patients."""
    cohort = simulated(300, 20_000)
    peer = run_r("screen.R", {"n": 300, "p": 20_000}) or {"seconds": 2.35}
    rows = []
    for count in sorted({1, threads}):
        seconds = median_seconds(partial(univariate_cox, cohort.x, cohort.time, cohort.event, n_jobs=count), repeats)
        met = seconds <= 0.25 and peer["seconds"] >= 10 * seconds if count >= 2 else None
        target = "<= 0.25 s, 10x" if count >= 2 else ""
        what = f"univariate Cox, 20,000 x 300, {count} thread(s)"
        rows.append(Row(what, seconds, "R coxph.fit loop", peer["seconds"], target, met))
    return Found(rows)


def forest(repeats: int, threads: int) -> Found:
    """Random survival forest of 1,000 trees."""
    from sksurv.ensemble import RandomSurvivalForest

    from amlprognosis.models.learners.survival_forest import SurvivalForest

    rows = []
    for n, p in ((300, 500), (300, 50)):
        cohort = simulated(n, p)
        y = as_outcome(cohort.time, cohort.event)

        def ours(count: int, cohort: Cohort = cohort, y: np.ndarray = y) -> None:
            SurvivalForest(n_estimators=1000, early_stop=False, n_jobs=count).fit(cohort.x, y)

        def theirs(cohort: Cohort = cohort, y: np.ndarray = y) -> None:
            RandomSurvivalForest(1000, min_samples_leaf=5, max_features="sqrt", n_jobs=1, random_state=0).fit(
                cohort.x, y
            )

        ranger = run_r("forest.R", {"n": n, "p": p, "trees": 1000}) or {"threads1": {500: 16.3, 50: 4.3}[p]}
        seconds = median_seconds(lambda: ours(1), repeats)
        what = f"survival forest, 1,000 trees, {n} x {p}, 1 thread"
        rows.append(Row(what, seconds, "R ranger", ranger["threads1"], "not slower", seconds <= ranger["threads1"]))
        rows.append(Row(what, seconds, "scikit-survival", median_seconds(theirs, 3)))
        if threads > 1:
            seconds = median_seconds(lambda: ours(threads), repeats)
            what = f"survival forest, 1,000 trees, {n} x {p}, {threads} threads"
            rows.append(Row(what, seconds, "R ranger", ranger.get("threads2", NAN)))
    return Found(rows)


def _grid_once(
    train: Cohort, threads: int, apply: Callable[[str, Combination], None] | None = None
) -> dict[str, float]:
    """Fit the 101 members once, selectors shared; gives seconds by member (selectors under their own name)."""
    features = pd.DataFrame(train.x, columns=[f"expression:{g}" for g in train.genes])
    features.index = [f"P{i:04d}" for i in range(len(features))]
    y = as_outcome(train.time, train.event)
    # The genes of W1 have passed the recipe's screen already.
    shared = {"screen_p": 1.0, "max_genes": len(train.genes)}
    bench = Combination(**shared).workbench(features, y, 1)
    seconds: dict[str, float] = {}
    selectors = {parse_grid_name(name).selector for name in SETS["all101"]} - {None}

    def timed(key: str, work: Callable[[], object]) -> object:
        started = clock.perf_counter()
        result = work()
        seconds[key] = clock.perf_counter() - started
        return result

    def fit(name: str) -> None:
        model = timed(name, lambda: Combination(name, random_state=1, **shared).fit(features, y, bench))
        if apply is not None and isinstance(model, Combination):
            apply(name, model)

    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        heavy = sorted(selectors, key=str)
        list(pool.map(lambda term: timed(f"selector {term}", lambda: bench.select(term)), heavy))
        order = sorted(SETS["all101"], key=lambda name: ("GBM" not in name, "RSF" not in name.split(" + ")[-1], name))
        list(pool.map(fit, order))
    return seconds


def _family(key: str) -> str:
    name = key.removeprefix("selector ").split(" + ")[-1]
    if name in ("Lasso", "Ridge"):
        return "Lasso, Ridge"
    return "Enet" if name.startswith("Enet") else name


def grid(repeats: int, threads: int) -> Found:
    """The 101 members on workload W1, one fit each."""
    train, other = w1("tcga"), w1("bullinger")
    outside = pd.DataFrame(other.x, columns=[f"expression:{g}" for g in other.genes])
    found: dict[str, float] = {}

    def apply(name: str, model: Combination) -> None:
        found[name] = harrell_concordance(other.time, other.event, model.predict(outside)).index

    rows = []
    for count in sorted({1, threads}):
        seconds = median_seconds(partial(_grid_once, train, count), repeats)
        target, met = ("<= 19 s (30x); aim 6 s", seconds <= R_GRID_SECONDS / 30) if count >= 2 else ("", None)
        what = f"grid of 101 on W1 (169 x 84), {count} thread(s)"
        rows.append(Row(what, seconds, "R recipe (PEERS.md)", R_GRID_SECONDS, target, met))
    by_family: dict[str, float] = defaultdict(float)
    for key, taken in _grid_once(train, 1, apply).items():
        by_family[_family(key)] += taken
    for family in sorted(by_family, key=lambda name: -by_family[name]):
        rows.append(Row(f"- {family} in it, 1 thread", by_family[family], "R", R_FAMILY_SECONDS.get(family, NAN)))
    lines = ["C in Bullinger 2004 (66 deaths: differences of 0.03 are noise), ours and R's (PEERS.md):"]
    lines += [f"  {name:20s} {found.get(name, NAN):.3f} {theirs:.3f}" for name, theirs in R_BULLINGER.items()]
    values = np.array(list(found.values()))
    lines.append(f"  all {len(values)}: median {np.median(values):.3f} (R 0.518), best {values.max():.3f} (R 0.600)")
    return Found(rows, lines)


def quality(repeats: int, threads: int) -> Found:
    """Cross-validated C of each family on W1 beside its peer's, on the same folds; no speed."""
    del repeats, threads
    cohort = w1("tcga")
    y = as_outcome(cohort.time, cohort.event)
    rng = np.random.default_rng(11)
    folds = {f"r{k}": stratified_folds(cohort.event, 5, rng) for k in range(3)}
    peers = _r_risks(cohort, folds) | _sksurv_risks(cohort, y, folds)
    lines = ["C, 5 folds x 3 on W1 (genes screened on all patients: optimistic for everybody), ours and the peer's:"]
    for name in SETS["ten"] + ("Enet[alpha=0.1]", "Enet[alpha=0.9]"):
        term = parse_grid_name(name).learner
        own = _held_out(lambda seed, term=term: make_learner(term, {}, seed), cohort, y, folds)
        line = f"  {name:16s} {_c(own, cohort, folds):.3f}"
        for peer in (key for key in peers if key[0] == name):
            line += f"   {peer[1]} {_c(peers[peer], cohort, folds):.3f}"
        lines.append(line)
    return Found([], lines)


def _held_out(make: Callable[[int], Any], cohort: Cohort, y: np.ndarray, folds: dict[str, np.ndarray]) -> np.ndarray:
    """Out-of-fold risks (repeats, n)."""
    risk = np.empty((len(folds), len(y)))
    for row, fold in enumerate(folds.values()):
        for number in np.unique(fold):
            held = fold == number
            risk[row, held] = make(int(number)).fit(cohort.x[~held], y[~held]).predict(cohort.x[held])
    return risk


def _c(risk: np.ndarray, cohort: Cohort, folds: dict[str, np.ndarray]) -> float:
    """Harrell's C over pairs held out together."""
    concordant = comparable = 0.0
    for row, fold in zip(risk, folds.values(), strict=True):
        for number in np.unique(fold):
            held = fold == number
            found = harrell_concordance(cohort.time[held], cohort.event[held], row[held])
            concordant += found.concordant + 0.5 * found.tied_risk
            comparable += found.concordant + found.discordant + found.tied_risk
    return concordant / comparable


def _r_risks(cohort: Cohort, folds: dict[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame(cohort.x, columns=cohort.genes)
        table.insert(0, "status", cohort.event.astype(int))
        table.insert(0, "time", cohort.time)
        table.to_csv(f"{folder}/data.csv", index=False)
        pd.DataFrame(folds).to_csv(f"{folder}/folds.csv", index=False)
        paths = {"data": f"{folder}/data.csv", "folds": f"{folder}/folds.csv", "out": f"{folder}/out.csv"}
        if run_r("quality.R", paths) is None:
            return {}
        found = pd.read_csv(paths["out"])
    risks = {}
    for family, part in found.groupby("family"):
        risk = np.empty((len(folds), len(cohort.time)))
        for row, name in enumerate(folds):
            own = part[part["r"] == name]
            risk[row, own["row"].to_numpy() - 1] = own["risk"]
        risks[(str(family), "R")] = risk
    return risks


def _sksurv_risks(cohort: Cohort, y: np.ndarray, folds: dict[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis, RandomSurvivalForest
    from sksurv.svm import FastSurvivalSVM

    makers: dict[str, Callable[[int], Any]] = {
        "RSF": lambda seed: RandomSurvivalForest(1000, min_samples_leaf=5, max_features="sqrt", random_state=seed),
        "GBM": lambda seed: GradientBoostingSurvivalAnalysis(
            learning_rate=0.05, n_estimators=100, subsample=0.5, min_samples_leaf=10, random_state=seed
        ),
        "survival-SVM": lambda seed: make_pipeline(StandardScaler(), FastSurvivalSVM(random_state=seed)),
    }
    return {(name, "scikit-survival"): _held_out(make, cohort, y, folds) for name, make in makers.items()}


def nested(repeats: int, threads: int) -> Found:
    """The grid in nested cross-validation on TCGA-LAML: the jobs of the real study, from nothing."""
    del repeats
    program = Path(sys.executable).parent / "snakemake"
    study = ROOT / "tests" / "workflow" / "all101.yaml"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(program), "--snakefile", str(ROOT / "Snakefile"), "--directory", folder, "--cores", str(threads),
            "--configfile", str(study), "--config", f"data_root={ROOT.parent / 'shared'}", "--quiet",
        ]  # fmt: skip
        for name in ("resources", "workflow", "profiles"):
            (Path(folder) / name).symlink_to(ROOT / name)
        subprocess.run([*command, "--until", "design"], check=True)
        started = clock.perf_counter()
        subprocess.run([*command, "--until", "crossvalidate_grid"], check=True)
        seconds = clock.perf_counter() - started
        tables = sorted(Path(folder).glob("results/*/benchmarks/crossvalidate/grid-*/*.tsv"))
        memory = max(float(pd.read_csv(path, sep="\t")["max_rss"].iloc[0]) for path in tables) / 1024
    met = seconds <= 20 * 60 and memory <= 2.0
    what = f"grid of 101, nested 5 x 2 folds (5 inner), TCGA-LAML, {threads} threads, largest job {memory:.2f} GiB"
    return Found([Row(what, seconds, "R recipe x 60 fits (PEERS.md)", 60 * R_GRID_SECONDS, "<= 20 min, < 2 GiB", met)])


def metrics(repeats: int, threads: int) -> Found:
    """1,000 bootstrap replicates of every metric of one model, 500 patients, 3 horizons."""
    del threads
    cohort = simulated(500, 10)
    rows = []
    for count, what in ((1, "validation"), (10, "10 repeats out of fold")):
        sheet = _sheet(cohort, count)

        def evaluated(sheet: Sheet = sheet) -> None:
            evaluate(sheet, MetricsDesign(cohort.time, cohort.event, [1, 3, 5], 1000, 1))

        with threadpool_limits(limits=1):
            seconds = median_seconds(evaluated, repeats)
        label = f"all metrics x 1,000 draws, 500 patients, {what}, 1 thread"
        peer = ("scikit-survival, C, AUC and Brier alone", _sksurv_draws(cohort, sheet)) if count == 1 else ("", NAN)
        rows.append(Row(label, seconds, *peer, "<= 10 s", seconds <= 10.0))
    return Found(rows)


def _sheet(cohort: Cohort, repeats: int) -> Sheet:
    """Predictions of a noisy model on 26 times, in five folds when there are several repeats."""
    rng = np.random.default_rng(2)
    days = np.unique(np.concatenate([np.linspace(73, 5 * 365.25, 25), [3 * 365.25]]))
    truth = cohort.x @ np.linspace(0.5, -0.5, 10)
    score = truth + 0.3 * rng.normal(size=(repeats, len(truth)))
    block = np.stack([rng.permutation(len(truth)) % (5 if repeats > 1 else 1) for _ in range(repeats)])
    survival = np.exp(-np.exp(score)[:, :, None] * days / 500)
    return Sheet(score, block, survival, days, (score > 0).astype(int))


def _sksurv_draws(cohort: Cohort, sheet: Sheet, draws: int = 20) -> float:
    """Seconds of scikit-survival's C, AUC and Brier at three horizons for 1,000 draws, from a few of them."""
    from sksurv.metrics import brier_score, concordance_index_censored, cumulative_dynamic_auc

    horizons = np.array([1, 3, 5]) * 365.25
    at = [int(np.argmin(np.abs(sheet.times - day))) for day in horizons]
    y, rng = as_outcome(cohort.time, cohort.event), np.random.default_rng(3)
    started = clock.perf_counter()
    for _ in range(draws):
        own = rng.integers(0, len(y), len(y))
        concordance_index_censored(y["event"][own], y["time"][own], sheet.score[0, own])
        cumulative_dynamic_auc(y, y[own], sheet.score[0, own], horizons)
        brier_score(y, y[own], sheet.survival[0, own][:, at], horizons)
    return (clock.perf_counter() - started) * 1000 / draws


CASES: dict[str, Callable[[int, int], Found]] = {
    "metrics": metrics,
    "screen": screen,
    "forest": forest,
    "grid": grid,
    "nested": nested,
    "quality": quality,
    "download": download,
    "sources": sources,
}


def available(name: str) -> bool:
    """Whether the data of a case are there."""
    from benchmarks.measure import SHARED

    return SHARED.exists() if name in ("grid", "nested", "quality") else True
