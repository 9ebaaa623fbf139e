"""An extension of the documentation's build: results are described in prose.

In this project signatures state types, so a docstring's section "Returns" or "Yields" starts with
the shape or meaning of the result, often with a colon in it. The parser would take what stands
before the colon for a name or type; an empty name in front keeps the text whole.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_RESULT = re.compile(r"^((?:Returns|Yields):\n[ ]+)", re.MULTILINE)


class ProseReturns(griffe.Extension):
    """Marks the text of result sections as description."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Called by griffe for every function and method that it has read."""
        if func.docstring is not None:
            func.docstring.value = _RESULT.sub(r"\1: ", func.docstring.value)
