"""Prognostic models: estimators that learn everything they use inside ``fit``."""
