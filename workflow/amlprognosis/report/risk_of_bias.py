"""Risk of bias, raised by the run itself under the four domains of PROBAST.

References
----------
Wolff RF et al., Ann Intern Med 2019;170:51, doi 10.7326/M18-1376 (PROBAST); Moons KGM et al., BMJ 2025;388:e082505,
doi 10.1136/bmj-2024-082505 (PROBAST+AI). The signals here are those that a run can see; the judgement of a study stays
with its readers.
"""

from __future__ import annotations

import pandas as pd

from amlprognosis.report import bias_of_analysis, bias_of_data
from amlprognosis.report.bias_signals import JUDGEMENTS, Signal, worst
from amlprognosis.report.theme import Tables
from amlprognosis.study import Study

DOMAINS = ("participants", "predictors", "outcome", "analysis")
COLUMNS = ["domain", "signal", "judgement", "finding", "remedy"]
OVERALL = "overall"


def risk_of_bias_table(study: Study, tables: Tables) -> pd.DataFrame:
    """Every signal with its judgement, and each domain as a whole.

    Parameters
    ----------
    study : Study
    tables : Tables
        Tables of the run. A signal whose tables are lacking is unclear, or left out if it cannot apply.

    Returns
    -------
    DataFrame
        domain, signal, judgement, finding, remedy. The first row of a domain has the signal ``overall``: high if one
        of its signals is, low if all are.
    """
    signals = [
        found for look in (*bias_of_data.LOOKS, *bias_of_analysis.LOOKS) if (found := look(study, tables)) is not None
    ]
    rows: list[Signal] = []
    for domain in DOMAINS:
        own = [signal for signal in signals if signal.domain == domain]
        counts = {name: sum(signal.judgement == name for signal in own) for name in JUDGEMENTS}
        text = ", ".join(f"{counts[name]} {name}" for name in reversed(JUDGEMENTS) if counts[name])
        rows += [Signal(domain, OVERALL, worst(signal.judgement for signal in own), f"{len(own)} signals: {text}")]
        rows += sorted(own, key=lambda signal: -JUDGEMENTS.index(signal.judgement))
    return pd.DataFrame([[getattr(row, column) for column in COLUMNS] for row in rows], columns=COLUMNS)
