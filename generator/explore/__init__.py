"""`intarsia explore`: the trade-offs of a model on boards, as points that can each be compiled; see sweep.py."""
