"""Evaluation: folds, cross-validation, metrics with intervals, calibration, null controls, leak tests."""
