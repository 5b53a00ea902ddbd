"""amlprognosis: from public AML cohorts to prognostic models that never saw what they are judged on."""

from __future__ import annotations

__version__ = "0.1.0"
