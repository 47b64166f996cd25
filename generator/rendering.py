"""Templates rendered to text: undefined names are errors, and no arithmetic happens there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from textwrap import indent
from typing import Any

import jinja2


def render(template: str, context: Mapping[str, Any]) -> str:
    """A source or text file; values stand in it as they are."""
    return _sources().get_template(template).render(context)


def render_page(template: str, **values: Any) -> str:
    """A page, or its style; values in HTML are escaped."""
    return _pages().get_template(template).render(values)


@cache
def _sources() -> jinja2.Environment:
    environment = _environment(escape=False)
    environment.keep_trailing_newline = True
    environment.filters["as_comment"] = lambda text: f"  // {text}" if text else ""
    environment.filters["nested"] = _nested
    return environment


@cache
def _pages() -> jinja2.Environment:
    return _environment(escape=True)


def _nested(text: str) -> str:
    """C++ one level deeper; directives stay at the margin."""
    return indent(text, "    ", lambda line: line.strip() != "" and not line.startswith("#"))


def _environment(*, escape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("intarsia.templates", "."),
        undefined=jinja2.StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
