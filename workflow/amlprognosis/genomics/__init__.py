"""Mutations and risk groups."""
