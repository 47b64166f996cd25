"""Vendor reports read back: what Vitis HLS and Vivado say about a design, beside what intarsia assumed."""

from __future__ import annotations

from .find import VendorReports, read_reports

__all__ = ["VendorReports", "read_reports"]
