"""What the demo world is made of: its size and the strength of what is planted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amlprognosis.errors import InputError


@dataclass(frozen=True)
class DemoSettings:
    """Size and planted effects of the demo world.

    Attributes
    ----------
    training_patients, array_patients, rnaseq_patients : int
        Patients per cohort: RNA-seq in GDC form, array in GEO form, RNA-seq as own tables.
    genes : int
        Genes of the bulk cohorts; planted genes and the resources' genes come first.
    cells : int
        Single cells over all samples.
    cell_genes : int
        Genes written for the atlas (never more than `genes` plus the mitochondrial ones).
    leukaemias, normals : int
        Samples of the atlas.
    programme_log_hazard : float
        Log hazard per standard deviation of the hazard programme.
    stemness_log_hazard : float
        Log hazard per standard deviation of the stemness axis.
    programme_coherence : float
        Correlation of each programme gene with its programme's common factor, in 0..1.
    weibull_shape : float
        Shape of the survival times; below 1, early deaths outnumber late ones.
    followup_years : tuple of float
        Administrative follow-up is uniform between these.
    lost_per_year : float
        Rate of loss to follow-up per patient-year.
    """

    training_patients: int = 240
    array_patients: int = 150
    rnaseq_patients: int = 160
    genes: int = 12000
    cells: int = 6000
    cell_genes: int = 3000
    leukaemias: int = 4
    normals: int = 2
    programme_log_hazard: float = 1.0
    stemness_log_hazard: float = 0.20
    programme_coherence: float = 0.70
    weibull_shape: float = 0.85
    followup_years: tuple[float, float] = (1.5, 8.0)
    lost_per_year: float = 0.03

    @classmethod
    def of(cls, settings: DemoSettings | Mapping[str, Any] | None) -> DemoSettings:
        """Take settings as they are, or build them from a mapping.

        Raises
        ------
        InputError
            A key that is not a setting, or a size that is too small to plant anything.
        """
        if settings is None:
            settings = cls()
        if not isinstance(settings, DemoSettings):
            known = [field.name for field in dataclasses.fields(cls)]
            unknown = sorted(set(settings) - set(known))
            if unknown:
                raise InputError(f"demo settings: unknown {unknown}; known are {known}")
            settings = cls(**settings)
        least = {
            "training_patients": 20,
            "array_patients": 20,
            "rnaseq_patients": 20,
            "genes": 200,
            "cells": 60,
            "cell_genes": 200,
            "leukaemias": 1,
            "normals": 1,
        }
        for name, minimum in least.items():
            if getattr(settings, name) < minimum:
                raise InputError(f"demo settings: {name} is {getattr(settings, name)}; use at least {minimum}")
        return settings
