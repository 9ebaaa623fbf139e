"""The one exception that means: the user can mend this."""

from __future__ import annotations


class BihrnetError(Exception):
    """A mistake in input, told in one sentence that names the thing and the cause.

    The command line prints the sentence and exits with code 2; a library caller catches it.
    Anything that is not a `BihrnetError` is a defect of this package.
    """
