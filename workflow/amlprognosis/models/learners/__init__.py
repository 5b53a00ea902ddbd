"""The learner families as scikit-learn estimators on numeric matrices, with scikit-survival's outcome array."""
