"""The frame of `| key : value` lines at the top of Vivado's reports."""

from __future__ import annotations

import re


def header_value(text: str, key: str) -> str:
    """The value of a key, or nothing."""
    found = re.search(rf"^\| {re.escape(key)}\s*:\s*(.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else ""
