"""Exit codes: 0 done (verify: all worlds agree), 1 a divergence was found, 2 it could not run, 130 interrupted.

141, as of a program that SIGPIPE ends, if whoever reads the output has closed it.
"""

DIVERGED, COULD_NOT_RUN, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141
