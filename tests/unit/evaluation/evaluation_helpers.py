"""A small world and small estimators for the tests; they follow the contract of the models room."""

from __future__ import annotations

import numpy as np
import pandas as pd

from amlprognosis.errors import InputError
from amlprognosis.evaluation.folds import make_folds
from amlprognosis.evaluation.survival import fit_cox
from amlprognosis.models.cox_kernels import univariate_cox


class Screened:
    """Scaling, screening and a ridge Cox model, all inside fit."""

    def __init__(self, genes=3, prefix="expression:", allowed=None):
        self.genes, self.prefix, self.allowed = genes, prefix, allowed

    def fit(self, x, y):
        columns = [c for c in x.columns if c.startswith(self.prefix) and np.ptp(x[c]) > 0]
        if self.allowed is not None:
            columns = [c for c in columns if c in self.allowed]
        if not columns:
            raise InputError("no column to learn from")
        screen = univariate_cox(x[columns].to_numpy(), y["time"], y["event"])
        best = np.sort(np.argsort(screen.p_screen, kind="stable")[: self.genes])
        self.columns_ = [columns[k] for k in best]
        self.center_, self.scale_ = x[self.columns_].mean(), x[self.columns_].std()
        z = ((x[self.columns_] - self.center_) / self.scale_).to_numpy()
        self.fit_ = fit_cox(z, y["time"], y["event"], ridge=1.0)
        self.cutpoint_ = float(np.median(z @ self.fit_.coef))
        return self

    def predict(self, x):
        return ((x[self.columns_] - self.center_) / self.scale_).to_numpy() @ self.fit_.coef

    def predict_survival(self, x, times):
        hazard = np.array([self.fit_.baseline(t) for t in times])
        return np.exp(-np.exp(self.predict(x))[:, None] * hazard)

    def selected_features(self):
        return pd.DataFrame({"feature": self.columns_, "weight": self.fit_.coef})


class Column:
    """The risk is one column; no survival curve, no cut-point."""

    def __init__(self, name="clinical:age"):
        self.name = name

    def fit(self, x, y):
        return self

    def predict(self, x):
        return x[self.name].to_numpy()


class Refusing(Column):
    def fit(self, x, y):
        raise InputError("too small for this model")


def make(name, seed):
    return {"gene_index": Screened, "age": Column, "refusing": Refusing}[name]()


def make_world(n, genes, seed, effect=1.0):
    rng = np.random.default_rng(seed)
    names = [f"P{k:03d}" for k in range(n)]
    columns = [f"expression:G{k}" for k in range(genes)]
    features = pd.DataFrame(rng.normal(size=(n, genes)), index=names, columns=columns)
    features["clinical:age"] = rng.normal(60, 10, n)
    hazard = effect * (features["expression:G0"] + 0.04 * (features["clinical:age"] - 60))
    death = rng.exponential(900, n) * np.exp(-hazard.to_numpy())
    censored = rng.uniform(300, 4000, n)
    outcome = pd.DataFrame(
        {"os_time": np.ceil(np.minimum(death, censored)), "os_event": death <= censored}, index=names
    )
    folds = make_folds(names, outcome["os_event"], outcome["os_time"], folds=3, repeats=2, seed=5)
    return features, outcome, folds
