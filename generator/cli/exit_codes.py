"""Exit codes: 0 done (verify: all worlds agree), 1 a divergence was found, 2 it could not run, 130 interrupted."""

DIVERGED, COULD_NOT_RUN, INTERRUPTED = 1, 2, 130
