"""Breaks a model file in random ways: each result must load, or be refused with one sentence.

Run as a program for a long attack: ``python tests/engine/fuzz_model_file.py 100000``. Where the
compiled engine is there, what loads is also planned and run by it.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from small_models import every_op

from bihrnet.engine.checksum import KEY as CHECKSUM
from bihrnet.engine.checksum import checksum
from bihrnet.engine.model_file import from_bytes, to_bytes
from bihrnet.engine.validation import infer_sizes, tensor_bytes
from bihrnet.errors import BihrnetError

NUMBERS = (0, 1, -1, 2, 3, 7, 64, 255, 256, 4096, 65537, 2**31, 2**32, 2**63, -(2**63), 10**400)
VALUES = (
    None,
    True,
    False,
    "",
    "image",
    "heatmaps",
    "conv",
    "load",
    "sign",
    0.5,
    1e300,
    [],
    {},
    [[]],
)
SPECIAL_FLOATS = (b"\xff\xff\xff\xff", b"\0\0\x80\x7f")  # not a number, infinity
#: Larger graphs that happen to be valid are not run.
MAX_RUN_BYTES = 1 << 24


def mutants(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`count` broken versions of a file."""
    source = random.Random(seed)
    kinds = (flip, cut, grow, change_length, change_json, change_json, change_entries, change_data)
    for _ in range(count):
        yield source.choice(kinds)(content, source)


def attempt(content: bytes) -> str:
    """ "loaded", or the reason of the refusal. Anything but a sentence of refusal is an error."""
    try:
        model = from_bytes(content, "broken.bhr")
        if importlib.util.find_spec("bihrnet.engine._native") is not None:
            run(model)
    except BihrnetError as error:
        sentence = str(error)
        assert sentence.startswith("broken.bhr: ") or "engine" in sentence, sentence
        assert "\n" not in sentence.strip(), sentence
        assert len(sentence) < 1000, sentence
        return sentence
    return "loaded"


def run(model: Any) -> None:
    """Let the engine plan and run what has passed the reader."""
    from bihrnet.engine.engine_model import EngineModel

    sizes = infer_sizes(model.graph, model.constants, model.spec.input_size)
    tensors = {tensor.name: tensor for tensor in model.graph.tensors}
    if sum(tensor_bytes(tensors[name], size) for name, size in sizes.items()) < MAX_RUN_BYTES:
        EngineModel(model, threads=1)(np.zeros((1, *model.spec.input_size, 3), np.uint8))


def flip(content: bytes, source: random.Random) -> bytes:
    broken = bytearray(content)
    for _ in range(source.choice((1, 1, 1, 2, 8, 64))):
        broken[source.randrange(len(broken))] = source.randrange(256)
    try:  # where the header is still one, what lies behind the checksum is to be reached
        return join(*split(bytes(broken)))
    except (ValueError, TypeError, AttributeError):
        return bytes(broken)


def cut(content: bytes, source: random.Random) -> bytes:
    start = source.randrange(len(content))
    return content[:start] if source.random() < 0.5 else content[:start] + content[start + 1 :]


def grow(content: bytes, source: random.Random) -> bytes:
    start = source.choice((0, 8, len(content), source.randrange(len(content))))
    return content[:start] + source.randbytes(source.choice((1, 8, 100))) + content[start:]


def change_length(content: bytes, source: random.Random) -> bytes:
    length = int.from_bytes(content[:8], "little") + source.choice(
        (-1, 1, 8, 2**20, 2**40, -(2**8))
    )
    return (length % 2**64).to_bytes(8, "little") + content[8:]


def change_data(content: bytes, source: random.Random) -> bytes:
    """Other numbers in the constants, not-a-number among them."""
    header, data = split(content)
    broken = bytearray(data)
    for _ in range(source.choice((1, 4, 32))):
        start = source.randrange(len(broken) - 4) & ~3
        broken[start : start + 4] = source.choice((*SPECIAL_FLOATS, source.randbytes(4)))
    return join(header, bytes(broken))


def change_entries(content: bytes, source: random.Random) -> bytes:
    """Other types, shapes or offsets of constants."""
    header, data = split(content)
    name = source.choice([name for name in header if name != "__metadata__"])
    change(header[name], source)
    return join(header, data)


def change_json(content: bytes, source: random.Random) -> bytes:
    """Other values in the graph or in what else the metadata holds."""
    header, data = split(content)
    metadata = header["__metadata__"]
    key = source.choice(["bihrnet.graph"] * 4 + sorted(metadata))
    tree = {"": json.loads(metadata[key])}
    for _ in range(source.choice((1, 1, 2, 4))):
        change(tree, source)
    metadata[key] = json.dumps(tree.get(""))
    return join(header, data)


def change(tree: Any, source: random.Random) -> None:
    """Change, remove or double one random node of a JSON tree, in place."""
    places: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        places += [(node, key) for key in keys]
        pending += [node[key] for key in keys if isinstance(node[key], dict | list)]
    if not places:
        return
    node, key = source.choice(places)
    action = source.randrange(8)
    if action == 0:
        del node[key]
    elif action == 1 and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    elif action == 2:
        node[key] = copy.deepcopy(source.choice(VALUES))
    elif action == 3:
        other, other_key = source.choice(places)
        node[key] = other[other_key] if not isinstance(other[other_key], dict | list) else 1
    elif type(node[key]) is int:
        node[key] = source.choice((*NUMBERS, node[key] + 1, node[key] - 1, 2 * node[key]))
    elif isinstance(node[key], str):
        node[key] = source.choice((node[key] + "x", node[key][:-1], 5000 * "a"))
    else:
        node[key] = source.choice(NUMBERS)


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header: dict[str, Any], data: bytes) -> bytes:
    """The file of a header and constants, with the checksum that they have."""
    metadata = header["__metadata__"]
    if CHECKSUM in metadata:
        metadata[CHECKSUM] = str(checksum(metadata, data))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def main(count: int) -> None:
    """Attack and say how the files fared."""
    outcomes: Counter[str] = Counter()
    for content in mutants(to_bytes(every_op()), count, seed=1):
        outcome = attempt(content)
        outcomes["loaded" if outcome == "loaded" else "refused"] += 1
    print(dict(outcomes))


if __name__ == "__main__":
    sys.set_int_max_str_digits(10000)
    main(int(sys.argv[1]))
