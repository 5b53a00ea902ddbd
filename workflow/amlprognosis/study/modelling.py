"""Features, folds, models and how they are judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from amlprognosis.study.base import GROUPS, ModelName, Section


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


class CrossValidation(Section):
    """Repeated stratified folds by patient."""

    folds: int = Field(default=5, ge=2, le=20, description="Folds.")
    repeats: int = Field(default=10, ge=1, le=100, description="Repeats, each a job per group of models.")


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


class Models(Section):
    """Which models run, and their settings."""

    run: list[ModelName] = Field(
        default=[name for group in GROUPS.values() for name in group],
        min_length=1,
        description="Models and comparators to run, gene_index among them: the report is written around it. A "
        "comparator that a cohort cannot support is refused with its reason in the leaderboard.",
    )
    gene_index: GeneIndexSettings = Field(default=GeneIndexSettings(), description="Gene index.")
    random_survival_forest: ForestSettings = Field(default=ForestSettings(), description="Random survival forest.")
    random_forest_5y: ForestSettings = Field(
        default=ForestSettings(min_samples_leaf=5), description="Random forest at five years."
    )
    xgboost_cox: BoostingSettings = Field(default=BoostingSettings(), description="XGBoost Cox.")
    xgboost_5y: BoostingSettings = Field(default=BoostingSettings(), description="XGBoost at five years.")


class Evaluation(Section):
    """How models are judged."""

    horizons_years: list[float] = Field(default=[1, 3, 5], min_length=1, description="Horizons of AUC and Brier.")
    main_horizon_years: float = Field(default=3, gt=0, description="Horizon of calibration figures.")
    bootstrap: int = Field(default=1000, ge=100, description="Bootstrap replicates over patients.")
    permutations: int = Field(default=20, ge=0, description="Permuted outcomes through the whole index procedure.")
    random_sets: int = Field(default=50, ge=0, description="Random gene sets through the whole index procedure.")
    report_models: list[ModelName] = Field(
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
