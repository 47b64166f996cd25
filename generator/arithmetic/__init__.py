"""Exact integer arithmetic: what golden, range analysis and hardware share."""
