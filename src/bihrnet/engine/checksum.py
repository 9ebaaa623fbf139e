"""Tells a model file that was damaged on its way: any byte may be a weight that still loads."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

KEY = "bihrnet.checksum"


def checksum(metadata: Mapping[str, str], constants: bytes | memoryview) -> int:
    """CRC-32 of a file's metadata, in the order of their keys and without `KEY`, and constants.

    It finds accidents, not forgery. The table of constants needs none: it must fit the graph.
    """
    code = 0
    for key in sorted(metadata.keys() - {KEY}):
        # What JSON allows and UTF-8 does not must not be an error of its own here.
        code = zlib.crc32(metadata[key].encode("utf-8", "surrogatepass"), code)
    return zlib.crc32(constants, code)
