"""Errors that a user can act on."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: the message names the file, the row, column or key, and the remedy."""
