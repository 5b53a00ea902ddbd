"""Retrieval of raw files and reading of their formats."""
