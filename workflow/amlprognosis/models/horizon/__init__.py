"""Classifiers of death by a horizon that use censored patients.

Six learners: random forest, XGBoost, elastic-net logistic regression, support vector machine, neural network, nearest
neighbours. Shanbehzadeh 2022 (doi:10.1186/s12911-022-01980-w) compares such on 5-year survival, after mRMR selection.
"""

from amlprognosis.models.horizon.knn import HorizonKNN
from amlprognosis.models.horizon.logistic import HorizonLogistic
from amlprognosis.models.horizon.mlp import HorizonMLP
from amlprognosis.models.horizon.svm import HorizonSVM
from amlprognosis.models.horizon.trees import HorizonForest, HorizonXGBoost
from amlprognosis.models.horizon.weights import ipcw, pseudo_survival

__all__ = [
    "HorizonForest",
    "HorizonKNN",
    "HorizonLogistic",
    "HorizonMLP",
    "HorizonSVM",
    "HorizonXGBoost",
    "ipcw",
    "pseudo_survival",
]
