"""The one error of this package."""

from __future__ import annotations

from ..errors import IntarsiaError


class ReportError(IntarsiaError):
    """A vendor report is missing, or is not what its name says."""
