"""Stratified Cox models against R's survival::coxph with strata(trt, prior), on its veteran data."""

from __future__ import annotations

import numpy as np
import pytest
from veteran_data import EVENT, TIME, X

from amlprognosis.errors import InputError
from amlprognosis.models.cox_strata import Strata

KARNO, AGE = X[:, 1].astype(float), X[:, 3].astype(float)
STRATUM = X[:, 0] * 100 + X[:, 4]
NULL = -346.58678439865
FITS = {
    # columns: log likelihood, coefficients, standard errors
    "karno": (-327.61610187583, None, None),
    "age": (-346.46391239997, None, None),
    "both": (
        -327.31457974710,
        (-0.0340768525514952, -0.0075655952635208),
        (0.0055177401856196, 0.0096753979737422),
    ),
}
COLUMNS = {"karno": KARNO[:, None], "age": AGE[:, None], "both": np.column_stack([KARNO, AGE])}


@pytest.mark.parametrize("name", FITS)
def test_stratified_fit(name: str) -> None:
    fit = Strata(TIME, EVENT, STRATUM).fit(COLUMNS[name])
    loglik, beta, errors = FITS[name]
    assert fit.status == "converged"
    assert fit.loglik == pytest.approx(loglik, abs=1e-9)
    assert fit.loglik_null == pytest.approx(NULL, abs=1e-9)
    if beta is not None:
        np.testing.assert_allclose(fit.beta, beta, rtol=1e-9)
        np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), errors, rtol=1e-9)
        assert fit.covariance[0, 1] == pytest.approx(1.2281695583493e-05, rel=1e-9)


def test_anova_of_nested_models() -> None:
    strata = Strata(TIME, EVENT, STRATUM)
    fits = {name: strata.fit(columns).loglik for name, columns in COLUMNS.items()}
    # anova(coxph(s ~ karno + strata(..)), coxph(s ~ karno + age + strata(..))), and the other way round.
    assert 2 * (fits["both"] - fits["karno"]) == pytest.approx(0.6030442574471, abs=1e-8)
    assert 2 * (fits["both"] - fits["age"]) == pytest.approx(38.298665305728, abs=1e-8)


def test_without_strata() -> None:
    fit = Strata(TIME, EVENT).fit(COLUMNS["both"])
    assert fit.loglik == pytest.approx(-484.39893264686, abs=1e-9)
    np.testing.assert_allclose(fit.beta, (-0.0337068348501653, -0.0023916361732145), rtol=1e-9)


def test_bad_columns() -> None:
    strata = Strata(TIME, EVENT, STRATUM)
    constant = strata.fit(np.column_stack([KARNO, STRATUM]))
    twice = strata.fit(np.column_stack([KARNO, 2 * KARNO + 1]))
    for fit in (constant, twice):
        assert fit.status == "collinear"
        assert np.isnan(fit.beta).all()
    apart = strata.fit(np.argsort(np.argsort(-TIME))[:, None].astype(float))
    assert apart.status == "separated"
    assert apart.loglik > NULL
    with pytest.raises(InputError, match="nobody died"):
        Strata(TIME, np.zeros(len(TIME), dtype=bool))


def test_strata_without_deaths_and_of_one_patient_say_nothing() -> None:
    alone = np.r_[STRATUM, 1, 2, 2]
    time, event = np.r_[TIME, 5.0, 9.0, 12.0], np.r_[EVENT, True, False, False]
    more = np.r_[COLUMNS["both"], [[1.0, 99.0], [5.0, 1.0], [7.0, 2.0]]]
    fit, known = Strata(time, event, alone).fit(more), Strata(TIME, EVENT, STRATUM).fit(COLUMNS["both"])
    np.testing.assert_allclose(fit.beta, known.beta, rtol=1e-9)
    assert fit.loglik == pytest.approx(known.loglik, abs=1e-9)
