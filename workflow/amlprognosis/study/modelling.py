"""Features, folds, models and how they are judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from amlprognosis.signatures.tables import signature_label
from amlprognosis.study.base import Name, Section
from amlprognosis.study.names import (
    DEFAULT_MODELS,
    EVERY_COMPARATOR,
    LEARNERS,
    SELECTORS,
    SETS,
    canonical_name,
    declare_signatures,
    is_grid,
    nearest,
    resolve_names,
    setting_fault,
)


class GeneSets(Section):
    """Candidate genes of the gene index."""

    file: str = Field(
        default="resources/genesets/programmed_cell_death.gmt",
        description="GMT file, relative to the working folder; any GMT file of yours works.",
    )
    sets: list[str] | None = Field(default=None, description="Names of the sets used; all when left out.")


class Features(Section):
    """The training matrix."""

    genes: Literal["shared", "training"] = Field(
        default="shared",
        description="shared: genes measured in every bulk cohort (names only, never values); training: all genes of "
        "the training cohort, those missing elsewhere are filled with the training mean and counted.",
    )
    clinical: list[str] = Field(
        default=["age", "sex", "risk"], description="Columns of the cohort used as clinical features."
    )
    mutations: list[str] = Field(
        default=[
            "ASXL1", "BCOR", "CEBPA", "DNMT3A", "EZH2", "FLT3", "IDH1", "IDH2", "KIT", "KRAS", "NPM1", "NRAS", "PHF6",
            "PTPN11", "RAD21", "RUNX1", "SF3B1", "SMC1A", "SMC3", "SRSF2", "STAG2", "TET2", "TP53", "U2AF1", "WT1",
            "ZRSR2",
        ],
        description="Genes whose mutation is a feature: by default those recurrent in AML (NEJM 2013;368:2059, "
        "NEJM 2016;374:2209). A fixed list, so that no frequency is learned from held-out patients.",
    )  # fmt: skip
    max_missing_share: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="A validation cohort that lacks a larger share of a model's features is refused for that model.",
    )
    batch: Name | None = Field(
        default=None,
        description="Column of the training cohort's clinical.categories (plate, centre, ...) whose groups are "
        "corrected as batches: location and scale per gene by empirical Bayes (ComBat), learned in every training part "
        "anew and applied to its held-out patients by their batch. Batches of fewer than five patients, new patients "
        "and validation cohorts stay as they are. None: no correction.",
    )


class CrossValidation(Section):
    """Repeated stratified folds by patient."""

    folds: int = Field(default=5, ge=2, le=20, description="Folds.")
    repeats: int = Field(default=10, ge=1, le=100, description="Repeats, each a job per group of models.")
    stratify: list[str] = Field(
        default=[],
        description="Columns of the training cohort (risk, sex, or those in its clinical.categories, such as trial or "
        "centre) whose groups are spread evenly over the folds, as deaths always are; a missing value is a group.",
    )

    @field_validator("stratify")
    @classmethod
    def _no_outcome(cls, value: list[str]) -> list[str]:
        leaks = sorted({"os_time", "os_event"} & set(value))
        if leaks:
            raise ValueError(f"{leaks[0]} is the outcome: folds are balanced for death anyway, remove it")
        if len(set(value)) < len(value):
            raise ValueError(f"a value stands twice (given: {value})")
        return value


class GeneIndexSettings(Section):
    """PPCDI-style gene index: screen, lasso Cox, linear index."""

    screen_p: float = Field(default=0.05, gt=0, le=1, description="Univariate Cox p-value that admits a gene.")
    min_genes: int = Field(default=10, ge=2, description="Genes kept by the screen if fewer pass.")
    max_genes: int = Field(default=200, ge=2, description="Most genes that the screen hands to the lasso.")
    lambda_rule: Literal["min", "1se"] = Field(default="min", description="Penalty rule of the inner folds.")
    n_folds: int = Field(default=10, ge=3, le=20, description="Inner folds that choose the penalty.")
    alpha: float = Field(default=1.0, gt=0, le=1, description="1: lasso; below it the elastic net.")


class TreeSettings(Section):
    """Tree ensembles."""

    max_features_screened: int = Field(
        default=300, ge=2, description="Expression features kept by the univariate screen inside each fold."
    )
    blocks: list[Literal["expression", "clinical", "mutation"]] = Field(
        default=["expression", "clinical", "mutation"], description="Blocks of features that the model sees."
    )


class ForestSettings(TreeSettings):
    """Random forests."""

    n_estimators: int = Field(default=300, ge=10, description="Number of trees.")
    min_samples_leaf: int = Field(default=10, ge=1, description="Fewest patients in a leaf.")


class BoostingSettings(TreeSettings):
    """Gradient boosting."""

    n_estimators: int = Field(default=300, ge=10, description="Most boosting rounds; inner folds choose fewer.")
    early_stopping_rounds: int = Field(default=20, ge=1, description="Rounds without progress that stop the search.")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Shrinkage.")
    max_depth: int = Field(default=2, ge=1, le=10, description="Depth of a tree.")


class GridSettings(Section):
    """The grid: learners and combinations of the recipe, such as ``Lasso + StepCox[both]``."""

    candidates: Literal["gene_sets", "expression"] = Field(
        default="gene_sets",
        description="gene_sets: the grid chooses among the candidate genes of the index; expression: among all genes.",
    )
    screen_p: float = Field(default=0.05, gt=0, le=1, description="Univariate Cox p-value that admits a gene.")
    min_genes: int = Field(default=10, ge=2, description="Genes kept by the screen if fewer pass.")
    max_genes: int = Field(default=200, ge=2, description="Most genes that the screen lets through.")
    inner_folds: int = Field(
        default=5,
        ge=0,
        le=20,
        description="Inner folds, in which the whole grid is run again within each training part: to choose its best "
        "member (what the best of the grid is honestly worth) and to calibrate the survival curves. 0 leaves that out: "
        "the curves are then far too extreme.",
    )

    @field_validator("inner_folds")
    @classmethod
    def _not_one(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one fold leaves nothing to train on; take 0 or at least 2")
        return value


class HorizonSettings(Section):
    """Classifiers of death by a horizon (logistic, svm, mlp, knn)."""

    weighting: Literal["ipcw", "pseudo"] = Field(
        default="ipcw",
        description="How censored patients count: inverse probability of censoring weights, or pseudo-observations "
        "(not for svm).",
    )
    selection: Literal["mrmr", "screen"] = Field(
        default="mrmr", description="mrmr: minimum redundancy, maximum relevance; screen: smallest univariate Cox p."
    )
    n_selected: int = Field(default=30, ge=2, description="Features selected.")
    blocks: list[Literal["expression", "clinical", "mutation"]] = Field(
        default=["expression", "clinical", "mutation"], description="Blocks of features that the model sees."
    )


class Models(Section):
    """Which models run, and their settings.

    A text or a list in place of the section, such as ``models: all101``, is short for ``run`` with these names,
    the gene index, the clinical model with it, and every comparator.
    """

    # Before run, which may name them.
    signatures: dict[str, str] = Field(
        default={},
        description="Published signatures of yours, name: path of a coefficient table (columns gene and weight, tab "
        "separated), relative to the working folder. They are comparators and run; those in resources/signatures need "
        "no entry here.",
    )
    run: list[str] = Field(
        default=list(DEFAULT_MODELS),
        min_length=1,
        validate_default=True,
        description="Models and comparators to run, gene_index among them: the report is written around it. Fixed "
        "names; classifiers at a horizon such as `logistic_3y`; learners and combinations of the grid such as `RSF`, "
        "`Enet[alpha=0.3]`, `Lasso + StepCox[both]`; the sets `all101`, `ten`, `quick`; and `comparators` for every "
        "comparator, tables in resources/signatures included. A comparator that a cohort cannot support is refused "
        "with its reason in the leaderboard.",
    )
    grid: GridSettings = Field(default=GridSettings(), description="Learners and combinations.")
    parameters: dict[str, dict[str, Any]] = Field(
        default={},
        description="Settings of a family wherever it stands in the grid, such as `RSF: {n_estimators: 500}`. Those in "
        "a name's brackets go first.",
    )
    gene_index: GeneIndexSettings = Field(default=GeneIndexSettings(), description="Gene index.")
    random_survival_forest: ForestSettings = Field(default=ForestSettings(), description="Random survival forest.")
    random_forest: ForestSettings = Field(
        default=ForestSettings(min_samples_leaf=5), description="Random forests at a horizon."
    )
    xgboost_cox: BoostingSettings = Field(default=BoostingSettings(), description="XGBoost Cox.")
    xgboost_aft: BoostingSettings = Field(default=BoostingSettings(), description="XGBoost accelerated failure time.")
    xgboost: BoostingSettings = Field(default=BoostingSettings(), description="XGBoost at a horizon.")
    logistic: HorizonSettings = Field(default=HorizonSettings(), description="Elastic-net logistic at a horizon.")
    svm: HorizonSettings = Field(default=HorizonSettings(), description="Support vector machine at a horizon.")
    mlp: HorizonSettings = Field(default=HorizonSettings(), description="Neural network at a horizon.")
    knn: HorizonSettings = Field(default=HorizonSettings(), description="Nearest neighbours at a horizon.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list):
            always = ("gene_index", "clinical_gene_index", EVERY_COMPARATOR)
            return {"run": [*value, *(name for name in always if name not in value)]}
        return value

    @field_validator("signatures")
    @classmethod
    def _declared(cls, value: dict[str, str]) -> dict[str, str]:
        taken = sorted(set(value) & set(cls.model_fields))
        if taken:
            raise ValueError(f"{taken[0]!r} is a key of models; choose another name for the signature")
        declare_signatures({name: signature_label(path) for name, path in value.items()})
        return value

    @field_validator("run", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("run")
    @classmethod
    def _known(cls, value: list[str], info: ValidationInfo) -> list[str]:
        found = resolve_names(value)
        return [*found, *(name for name in info.data.get("signatures", {}) if name not in found)]

    @field_validator("parameters")
    @classmethod
    def _settable(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        families = {**LEARNERS, "Stability": SELECTORS["Stability"]}
        for family, settings in value.items():
            if family not in families:
                raise ValueError(f"{family!r} is no family{nearest(family, families)} Known are {', '.join(families)}")
            own = {"Enet": "alpha", "StepCox": "direction"}.get(family)
            if own in settings:
                raise ValueError(f"{family}: {own} belongs to the name, as in {family}[{own}={settings[own]}]")
            unknown = sorted(set(settings) - set(families[family]))
            if unknown:
                raise ValueError(f"{family}: {unknown[0]!r} is no setting; valid are {', '.join(families[family])}")
            fault = setting_fault(family, settings)
            if fault:
                raise ValueError(f"{family}: {fault}")
        return value

    @property
    def grid_run(self) -> list[str]:
        """Those of ``run`` that are learners and combinations of the grid."""
        return [name for name in self.run if is_grid(name)]


def _one_name(value: str) -> str:
    if value in SETS or value == EVERY_COMPARATOR:
        raise ValueError(f"{value!r} is a set; name single models")
    return canonical_name(value)


OneModel = Annotated[str, AfterValidator(_one_name)]


class Evaluation(Section):
    """How models are judged."""

    horizons_years: list[float] = Field(default=[1, 3, 5], min_length=1, description="Horizons of AUC and Brier.")
    main_horizon_years: float = Field(
        default=3,
        gt=0,
        description="Horizon of calibration, net benefit, decision curves and paired Brier differences.",
    )
    bootstrap: int = Field(default=1000, ge=100, description="Bootstrap replicates over patients.")
    decision_threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Risk of death by the main horizon from which one would act; net benefit in tables is at this "
        "risk, the decision curves show all of them.",
    )
    permutations: int = Field(
        default=20, ge=0, le=10_000, description="Permuted outcomes through the whole index procedure."
    )
    random_sets: int = Field(
        default=200,
        ge=0,
        le=100_000,
        description="Random gene sets of the candidates' number through the whole index procedure.",
    )
    control_repeats: int = Field(
        default=3, ge=1, description="Repeats of the cross-validation on which the controls are computed."
    )
    seeds: int = Field(
        default=10,
        ge=0,
        le=1_000,
        description="Other seeds with which the index is fitted again, to see what hangs on the seed.",
    )
    report_models: list[OneModel] = Field(
        default=["gene_index", "random_survival_forest", "xgboost_cox", "clinical"],
        description="Models whose curves the report draws.",
    )


class Simulation(Section):
    """The demo world; only for the embedded demo study and for tests."""

    training_patients: int = Field(default=240, ge=30, description="Training patients (RNA-seq, GDC form).")
    array_patients: int = Field(default=150, ge=30, description="Validation patients on an array (GEO form).")
    rnaseq_patients: int = Field(default=160, ge=30, description="Validation patients (RNA-seq, own tables).")
    genes: int = Field(default=12000, ge=1500, description="Genes.")
    cells: int = Field(default=6000, ge=200, description="Single cells.")
