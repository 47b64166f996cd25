"""What goes wrong, in one line each."""

from __future__ import annotations


class AcceleratorError(Exception):
    """The accelerator cannot be used as asked; the message says why and what to do."""


class SelfTestError(AcceleratorError):
    """The accelerator ran, and its results are not those of the golden vectors."""


class LaunchTimeoutError(AcceleratorError):
    """A launch did not end in time; the message is what the device says of it."""

    def __init__(self, state: str, row: int) -> None:
        """Notes the state of the device, and which sample was run."""
        super().__init__(state)
        self.row = row


class DeviceError(Exception):
    """The board or card cannot be used; the message says why and what to do."""


def reason(error: Exception) -> str:
    """One line that says what went wrong, also for errors of gRPC, whose text is a page."""
    details = getattr(error, "details", None)
    text = str(details() if callable(details) else f"{type(error).__name__}: {error}").strip()
    return text.splitlines()[0] if text else type(error).__name__
