"""PLS-Cox: partial least squares for survival, with the number of components found by cross-validation."""

from __future__ import annotations

from numbers import Integral
from typing import Literal

import numpy as np

from amlprognosis.errors import InputError
from amlprognosis.models.few_cox_kernels import loglik_of
from amlprognosis.models.learners.base import LinearLearner, run_threads
from amlprognosis.models.learners.inner_folds import curves_from_held_out, inner_folds, one_blas_thread
from amlprognosis.models.pls_cox_kernels import PLSPath
from amlprognosis.models.risk_sets import risk_sets


class _Fold:
    """Components learned without a fold's patients, and their linear predictor of everybody."""

    def __init__(self, x: np.ndarray, time: np.ndarray, event: np.ndarray, kept: np.ndarray):
        self.x, self.kept = x, kept
        self.sets, self.part = risk_sets(time, event), risk_sets(time[kept], event[kept])
        self.path = PLSPath(x[kept], time[kept], event[kept])
        self.linear_predictors = [np.zeros(len(x))]

    def value(self) -> float:
        """Log likelihood of all patients less that of those learned from (Verweij 1993)."""
        eta = self.linear_predictors[-1]
        whole = loglik_of(eta[self.sets.order], self.sets.event, self.sets.starts)
        part = loglik_of(eta[self.kept][self.part.order], self.part.event, self.part.starts)
        return float(whole - part)

    def extend(self) -> None:
        """Add a component; a fold that has run out of them keeps its last linear predictor."""
        if self.path.extend():
            self.linear_predictors.append((self.x - self.path.mean) @ (self.path.linear() / self.path.scale))
        else:
            self.linear_predictors.append(self.linear_predictors[-1])


class PLSCox(LinearLearner):
    """Cox model on partial-least-squares components (Bertrand 2014, doi:10.1093/bioinformatics/btu660).

    A component is a weighted sum of the standardized columns (ddof 1); the weight of a column is its coefficient in a
    Cox model (Efron's rule for ties) together with the earlier components, after those are regressed out of it, as
    plsRcox does in R. The risk is the linear predictor of a Cox model of all components.

    Parameters
    ----------
    n_components : "cv" or int
        "cv" adds components as long as the next one raises the cross-validated partial likelihood (Verweij 1993,
        doi:10.1002/sim.4780122407); one is always taken. Survival curves then rest on the held-out linear predictors,
        because many columns make the linear predictor far too spread on the patients it was learned from; with a fixed
        number they do not.
    max_components : int
        Components at most with "cv".
    n_folds : int
        Folds of the cross-validation; fewer when deaths are fewer.
    n_jobs : int
        Threads; they do not change the result.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    coef_ : ndarray (p,)
        On the scale of X: log hazard ratios (plsRcox multiplies its ``Coeffs`` by the deviation of time as well).
    n_components_ : int
    component_coef_ : ndarray (k,)
        Cox coefficients of the components.
    weights_, loadings_ : ndarray (p, k)
        Weights, scaled to length 1, and loadings of the standardized columns.
    cv_loglik_ : ndarray (k,)
        Mean over folds of the cross-validated log partial likelihood of 0, 1, .. components; absent with a fixed
        number.
    """

    def __init__(
        self,
        n_components: int | Literal["cv"] = "cv",
        max_components: int = 10,
        n_folds: int = 5,
        n_jobs: int = 1,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.max_components = max_components
        self.n_folds = n_folds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> None:
        self._check_parameters()
        if hasattr(self, "cv_loglik_"):
            del self.cv_loglik_
        path = PLSPath(x, time, event)
        with one_blas_thread():
            wanted = self._choose(x, time, event) if self.n_components == "cv" else int(self.n_components)
            while len(path.coefficients) < wanted and path.extend():
                pass
        self.n_components_ = len(path.coefficients)
        if self.n_components_ == 0:
            raise InputError("no column is related to survival: PLS-Cox has no component; give other columns")
        if self.n_components_ < wanted:
            self.notes_.append(
                f"{self.n_components_} of {wanted} components: the next one is empty or separates deaths from survivors"
            )
        if path.penalized:
            self.notes_.append("the first component separates deaths from survivors: its coefficient is penalized")
        if any(path.failed):
            self.notes_.append(f"{max(path.failed)} columns separate deaths from survivors: penalized weights")
        self.component_coef_ = path.coefficients
        self.weights_, self.loadings_ = path.weights.T, path.loadings.T
        self._set_linear(path.linear() / path.scale, path.mean)

    def _choose(self, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> int:
        """Number of components by cross-validation; also sets what survival curves rest on."""
        labels = inner_folds(event, self.n_folds, self.random_state)
        folds = run_threads(
            lambda label: _Fold(x, time, event, labels != label), range(int(labels.max()) + 1), self.n_jobs
        )
        means = [float(np.mean([fold.value() for fold in folds]))]
        for count in range(1, self.max_components + 1):
            run_threads(_Fold.extend, folds, self.n_jobs)
            means.append(float(np.mean([fold.value() for fold in folds])))
            if count > 1 and not means[-1] > means[-2]:
                break
        self.cv_loglik_ = np.array(means)
        best = int(np.argmax(means))
        if best == 0:
            self.notes_.append("cross-validation prefers no component at all: one was taken")
            best = 1
        held_out = np.empty(len(x))
        for label, fold in enumerate(folds):
            held_out[labels == label] = fold.linear_predictors[best][labels == label]
        curves_from_held_out(self, held_out, time, event)
        return best

    def _check_parameters(self) -> None:
        for name, least in (("n_components", 1), ("max_components", 1), ("n_folds", 2)):
            value = getattr(self, name)
            if name == "n_components" and value == "cv":
                continue
            if not isinstance(value, Integral) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
