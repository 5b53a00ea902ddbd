"""Templates of the report's pages."""

from __future__ import annotations

from importlib.resources import files

import jinja2


def template_text(name: str) -> str:
    """Text of a file in the folder templates."""
    return files("amlprognosis.report").joinpath("templates", name).read_text(encoding="utf-8")


def template(name: str) -> jinja2.Template:
    """A page's template: everything is escaped, and an unknown name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
