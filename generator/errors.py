"""The base of every error that a user's input or machine can cause."""


class IntarsiaError(Exception):
    """A problem the user can mend; the message says what, where, what is allowed and what to do next."""
