"""The one exception for mistakes that the user can correct."""

from __future__ import annotations


class BihrnetError(Exception):
    """A mistake in the input; the message is one sentence that names its subject and the cause.

    The command line prints the sentence and exits with code 2; a caller of the library catches it.
    Any other exception is a defect of this package.
    """
