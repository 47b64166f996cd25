"""Where excerpts of vendor reports are, and those that are not published."""

from __future__ import annotations

from pathlib import Path

EXCERPTS = Path(__file__).parent / "vendor_reports"
WHOLE = Path(__file__).parents[2] / "shared" / "data" / "vitis_reports"
DESIGNS = (
    "cnns_opt1_ResidualBlock",
    "cnns_opt5_DepthwiseSeparableConvBlock",
    "transformers_opt1_FeedForward",
)
