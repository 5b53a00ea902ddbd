"""Figures and the report page: everything a reader needs to believe or reject the result."""

from __future__ import annotations

from amlprognosis.report.figures import FigureSpec, figures_of, write_figures

__all__ = ["FigureSpec", "figures_of", "write_figures"]
