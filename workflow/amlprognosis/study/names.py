"""Names of models: fixed ones, classifiers at a horizon, published signatures, and the members of the grid.

A grid name is ``learner`` or ``selector + learner``, each a family with settings in brackets: ``RSF``,
``Enet[alpha=0.3]``, ``Lasso + StepCox[both]``. A signature bears the stem of its table in ``resources/signatures``, or
the name that a study gives it. This module knows names alone; :mod:`amlprognosis.models.registry` makes estimators of
them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from amlprognosis.signatures.tables import published_signatures

Scalar = int | float | str

# The procedure "take the best of the grid", which tables show as a model of its own.
BEST_OF_GRID = "best_of_grid"
FIXED_LABELS = {
    "gene_index": "Gene index (lasso Cox)",
    "clinical_gene_index": "Clinical + gene index",
    "random_survival_forest": "Random survival forest",
    "xgboost_cox": "XGBoost Cox",
    "xgboost_aft": "XGBoost AFT",
    "age": "Age",
    "age_sex": "Age + sex",
    "eln": "Risk group",
    "age_eln": "Age + risk group",
    "clinical": "Clinical Cox",
    "clinical_mutations": "Clinical + mutations Cox",
}
HORIZON_LABELS = {
    "random_forest": "Random forest",
    "xgboost": "XGBoost",
    "logistic": "Elastic-net logistic",
    "svm": "Support vector machine",
    "mlp": "Neural network",
    "knn": "Nearest neighbours",
}
# Stands in a list of models for every comparator, tables that lie in resources/signatures included.
EVERY_COMPARATOR = "comparators"
DEFAULT_MODELS = (
    "gene_index",
    "clinical_gene_index",
    "random_survival_forest",
    "xgboost_cox",
    "random_forest_5y",
    "xgboost_5y",
    EVERY_COMPARATOR,
)
# Families and the settings that a study may change; a test holds them against the estimators.
LEARNERS: dict[str, tuple[str, ...]] = {
    "RSF": ("n_estimators", "min_samples_leaf", "max_features"),
    "Enet": ("alpha", "rule", "n_folds", "penalty"),
    "Lasso": ("rule", "n_folds", "penalty"),
    "Ridge": ("n_folds", "penalty"),
    "StepCox": ("direction", "criterion", "ties"),
    "CoxBoost": ("penalty", "max_steps", "n_steps", "n_folds"),
    "PLS-Cox": ("n_components", "max_components", "n_folds"),
    "SuperPC": ("n_components", "n_folds"),
    "GBM": ("learning_rate", "max_trees", "max_depth", "min_samples_leaf", "subsample", "n_folds"),
    "survival-SVM": ("alpha", "n_folds"),
}
SELECTORS: dict[str, tuple[str, ...]] = {
    **{name: LEARNERS[name] for name in ("RSF", "Enet", "Lasso", "StepCox", "CoxBoost")},
    "Stability": ("threshold", "n_pairs", "q"),
}
_ALIASES = {"plsRcox": "PLS-Cox", "a": "alpha"}
# What may stand in brackets without its key.
_BARE = {
    "both": "direction",
    "backward": "direction",
    "forward": "direction",
    "aic": "criterion",
    "bic": "criterion",
}
_TERM = re.compile(r"^([A-Za-z][A-Za-z-]*)\s*(?:\[([^\[\]]*)\])?$")
_HORIZON = re.compile(rf"^({'|'.join(HORIZON_LABELS)})_(\d+(?:\.\d+)?)y$")


@dataclass(frozen=True)
class Term:
    """A family with its settings, such as ``StepCox[both]``."""

    family: str
    settings: tuple[tuple[str, Scalar], ...] = ()

    def __str__(self) -> str:
        """The canonical name."""
        words = [str(value) if _BARE.get(str(value)) == key else f"{key}={value}" for key, value in self.settings]
        return f"{self.family}[{', '.join(words)}]" if words else self.family


@dataclass(frozen=True)
class GridName:
    """A learner, alone or behind a selector."""

    learner: Term
    selector: Term | None = None

    def __str__(self) -> str:
        """The canonical name."""
        return f"{self.selector} + {self.learner}" if self.selector else str(self.learner)


def parse_term(text: str, families: Mapping[str, tuple[str, ...]] = LEARNERS) -> Term:
    """Read one family with its settings.

    Raises
    ------
    ValueError
        If the family or a setting is unknown; the message names the nearest valid ones.
    """
    match = _TERM.match(text.strip())
    family = _ALIASES.get(match[1], match[1]) if match else text.strip()
    if match is not None and family not in families and family in {**LEARNERS, **SELECTORS}:
        role = "stands alone or behind a selector" if family in LEARNERS else "is a selector: write Stability + Ridge"
        raise ValueError(f"{text.strip()!r} {role}; known here are {', '.join(families)}")
    if match is None or family not in families:
        raise ValueError(f"{text.strip()!r} is not known{nearest(family, families)} Known are {', '.join(families)}")
    settings: dict[str, Scalar] = {}
    for word in filter(None, (part.strip() for part in (match[2] or "").split(","))):
        key, equals, value = (part.strip() for part in word.partition("="))
        if not equals:
            key, value = _BARE.get(word, ""), word
        key = _ALIASES.get(key, key)
        if key not in families[family]:
            raise ValueError(
                f"{text.strip()!r}: {word!r} is no setting of {family}; valid are {', '.join(families[family])}"
            )
        if key in settings:
            raise ValueError(f"{text.strip()!r}: {key} is given twice")
        settings[key] = _scalar(value)
    if family == "StepCox":
        settings.setdefault("direction", "both")
    if family == "Enet":
        settings.setdefault("alpha", 0.5)
    fault = setting_fault(family, settings)
    if fault:
        raise ValueError(f"{text.strip()!r}: {fault}")
    return Term(family, tuple(sorted(settings.items())))


_CHOICES = {
    "direction": ("both", "backward", "forward"),
    "criterion": ("aic", "bic"),
    "rule": ("min", "1se"),
    "ties": ("efron", "breslow"),
}
# Smallest whole number, and range of other numbers (above, up to); words that may stand instead.
_WHOLE = {
    "n_estimators": 1, "min_samples_leaf": 1, "n_folds": 2, "max_steps": 1, "n_steps": 1, "n_components": 1,
    "max_components": 1, "max_trees": 1, "max_depth": 1, "n_pairs": 1, "q": 1,
}  # fmt: skip
_RANGES = {
    "alpha": (0.0, float("inf")), "penalty": (0.0, float("inf")), "max_features": (0.0, float("inf")),
    "learning_rate": (0.0, 1.0), "subsample": (0.0, 1.0), "threshold": (0.5, 1.0),
}  # fmt: skip
_WORDS = {
    ("RSF", "max_features"): "sqrt",
    ("CoxBoost", "penalty"): "auto",
    ("PLS-Cox", "n_components"): "cv",
    ("SuperPC", "n_components"): "cv",
    ("survival-SVM", "alpha"): "cv",
}
# Smaller numbers than this are 0 in all but name.
TINY = 1e-12
_LEAST = {("CoxBoost", "max_steps"): 4}
_MOST = {("SuperPC", "n_components"): 3, ("GBM", "max_depth"): 8, ("Enet", "alpha"): 1}


def setting_fault(family: str, settings: Mapping[str, Any]) -> str | None:
    """What is wrong with settings whose keys are known, or None."""
    for key, value in settings.items():
        word = _WORDS.get((family, key))
        if word is not None and value == word:
            continue
        if key in _CHOICES:
            if value not in _CHOICES[key]:
                return f"{key} must be one of {', '.join(_CHOICES[key])}, got {value!r}"
            continue
        instead = f" or {word}" if word else ""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{key} must be a number{instead}, got {value!r}"
        most = _MOST.get((family, key))
        if key in _WHOLE:
            least = _LEAST.get((family, key), _WHOLE[key])
            if not isinstance(value, int) or value < least or (most is not None and value > most):
                upper = f" and at most {most}" if most is not None else ""
                return f"{key} must be a whole number of at least {least}{upper}{instead}, got {value}"
        elif key == "max_features" and value > 1 and not isinstance(value, int):
            return f"{key} must be a share of at most 1, a whole number of columns or {word}, got {value}"
        else:
            low, high = _RANGES[key]
            high = min(high, most if most is not None else high)
            if not (low < value <= high and TINY <= value < float("inf")):
                upper = "" if high == float("inf") else f" and at most {high:g}"
                ridge = "; for alpha 0 use Ridge" if (family, key) == ("Enet", "alpha") and value == 0 else ""
                return f"{key} must lie above {low:g}{upper}{instead}, got {value}{ridge}"
    return None


def _scalar(text: str) -> Scalar:
    try:
        value = float(text)
    except ValueError:
        return text
    # One spelling of a number: 1.0 and 1 are the same member.
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def parse_grid_name(text: str) -> GridName:
    """Read ``learner`` or ``selector + learner``.

    Raises
    ------
    ValueError
        If it is neither; the message names the nearest valid ones.
    """
    # A plus sign in brackets belongs to a number such as 1e+16.
    parts = re.split(r"\+(?![^\[]*\])", text)
    if len(parts) > 2:
        raise ValueError(f"{text!r}: a combination is one selector + one learner")
    learner = parse_term(parts[-1], LEARNERS)
    return GridName(learner, parse_term(parts[0], SELECTORS) if len(parts) == 2 else None)


def horizon_model(name: str) -> tuple[str, float] | None:
    """Kind and horizon in years of a classifier such as ``logistic_3y``; None for any other name."""
    match = _HORIZON.match(name)
    return (match[1], float(match[2])) if match and float(match[2]) > 0 else None


def is_grid(name: str) -> bool:
    """Whether a valid name is a learner or combination of the grid."""
    return name.split(" + ")[-1].split("[")[0] in LEARNERS


def canonical_name(text: str) -> str:
    """Check a model's name and give its one spelling.

    Raises
    ------
    ValueError
        If it is not known; the message names the nearest valid ones.
    """
    text = " ".join(str(text).split())
    if text in FIXED_LABELS or text in SIGNATURES:
        return text
    horizon = horizon_model(text)
    if horizon:
        return f"{horizon[0]}_{horizon[1]:g}y"
    if "+" not in text and "[" not in text and text not in LEARNERS and text not in _ALIASES:
        horizons = [f"{kind}_5y" for kind in HORIZON_LABELS]
        known = [*FIXED_LABELS, *SIGNATURES, *horizons, *LEARNERS, *SETS, EVERY_COMPARATOR]
        raise ValueError(f"{text!r} is not known{nearest(text, known)} Known are {', '.join(known)}")
    return str(parse_grid_name(text))


def nearest(text: str, known: Iterable[str]) -> str:
    """The part of a message that guesses what was meant."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(text.lower(), by_lower, n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(by_lower[name] for name in near)}?" if near else "."


def model_label(name: str) -> str:
    """How reports call a model."""
    horizon = horizon_model(name)
    if horizon:
        years = f"{horizon[1]:g} year" + ("s" if horizon[1] != 1 else "")
        return f"{HORIZON_LABELS[horizon[0]]}, {years}"
    return {**SIGNATURES, **FIXED_LABELS, **_OTHER_LABELS}.get(name, name)


def model_slug(name: str) -> str:
    """Name of a model's folder: ``Lasso + StepCox[both]`` lies in ``Lasso__StepCox-both``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.replace(" + ", "__")).strip("-")


_ENETS = tuple(f"Enet[alpha={k / 10:g}]" for k in range(1, 10))
_STEPS = ("StepCox[both]", "StepCox[backward]", "StepCox[forward]")
_SINGLE = ("RSF", *_ENETS, *_STEPS, "CoxBoost", "PLS-Cox", "SuperPC", "GBM", "survival-SVM", "Ridge", "Lasso")


def _all101() -> tuple[str, ...]:
    """The 101 combinations of the recipe (Liu 2022, doi:10.1038/s41467-022-28421-6, and those who followed)."""
    behind = {
        "RSF": [name for name in _SINGLE if name != "RSF"],
        "StepCox[both]": [name for name in _SINGLE if name not in _STEPS],
        "StepCox[backward]": [name for name in _SINGLE if name not in _STEPS],
        "CoxBoost": [name for name in _SINGLE if name != "CoxBoost"],
        "Lasso": [name for name in _SINGLE if name not in (*_ENETS, "Ridge", "Lasso")],
    }
    return (*_SINGLE, *(f"{selector} + {name}" for selector, names in behind.items() for name in names))


SETS: dict[str, tuple[str, ...]] = {
    "all101": _all101(),
    "ten": (
        "RSF", "Enet[alpha=0.5]", "Lasso", "Ridge", "StepCox[both]", "CoxBoost", "PLS-Cox", "SuperPC", "GBM",
        "survival-SVM",
    ),
    "quick": ("Lasso", "Ridge", "CoxBoost", "SuperPC", "RSF", "Lasso + StepCox[both]"),
}  # fmt: skip
_OTHER_LABELS = {BEST_OF_GRID: "Best of the grid", "grid": "Any member of the grid"}
_SIGNATURE = re.compile(r"^[a-z][a-z0-9_]*$")


def signature_fault(name: str) -> str | None:
    """What is wrong with the name of a signature, or None."""
    if not _SIGNATURE.match(name):
        return f"{name!r} is no name of a signature: small letters, digits and _ only, a letter first"
    taken = {*FIXED_LABELS, *_OTHER_LABELS, *HORIZON_LABELS, *SETS, EVERY_COMPARATOR}
    if name in taken or horizon_model(name):
        return f"{name!r} is the name of something else; choose another name for the signature"
    return None


_PUBLISHED = {name: label for name, label in published_signatures().items() if signature_fault(name) is None}
COMPARATORS = ("age", "age_sex", "eln", "age_eln", "clinical", "clinical_mutations", *_PUBLISHED)
# Name and label of each signature: the published ones, and what studies declare.
SIGNATURES: dict[str, str] = dict(_PUBLISHED)


def declare_signatures(labels: Mapping[str, str]) -> None:
    """Make the signatures of a study known, with their labels: their names are comparators from here on.

    Raises
    ------
    ValueError
        If a name is not valid, or that of a table in ``resources/signatures``.
    """
    for name in labels:
        fault = signature_fault(name)
        if fault is None and name in _PUBLISHED:
            fault = f"{name!r} is a table of resources/signatures already; choose another name"
        if fault:
            raise ValueError(fault)
    SIGNATURES.update(labels)


def is_comparator(name: str) -> bool:
    """Whether a model is there for others to be compared with."""
    return name in COMPARATORS or name in SIGNATURES


def comparators_among(names: Iterable[str]) -> list[str]:
    """Comparators among models, each once: the usual ones first, then signatures of the study by name."""
    given = set(names)
    return [name for name in [*COMPARATORS, *sorted(set(SIGNATURES) - set(COMPARATORS))] if name in given]


def may_be_refused(name: str) -> bool:
    """Whether a study goes on when its training cohort cannot support a model."""
    return name == "clinical_gene_index" or is_comparator(name) or is_grid(name) or horizon_model(name) is not None


def resolve_names(texts: Iterable[str]) -> list[str]:
    """Expand sets and check names, in the order given; a name that several sets bring stands once.

    Raises
    ------
    ValueError
        If a name is unknown, or one is written twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        origin = str(text).strip()
        several = COMPARATORS if origin == EVERY_COMPARATOR else SETS.get(origin)
        for name in several or [canonical_name(text)]:
            sets = {EVERY_COMPARATOR, *SETS}
            if name in found and found[name] not in sets and origin not in sets:
                raise ValueError(f"a value stands twice: {name!r}")
            found.setdefault(name, origin)
    return list(found)
