"""The golden that an exported model carries."""

from __future__ import annotations

import warnings
from dataclasses import replace

from bihrnet.engine.engine_model import EngineModel
from bihrnet.engine.golden import Golden, golden_image
from bihrnet.engine.model_file import ModelFile
from bihrnet.engine.reference import ReferenceModel

#: Seeds of the pictures that are tried.
CANDIDATES = range(4)
#: A picture on which two runtimes differ by no more than this is taken at once.
AT_ONCE = 0.002

#: Stands in a model that has not gone through `with_golden` yet.
NO_GOLDEN = Golden(seed=0, mean=(), deviation=())


def with_golden(model: ModelFile) -> ModelFile:
    """The model with the golden that the NumPy reference gives for it.

    In a binary network rounding can turn a sign, and not every picture bears that equally well. So
    the engine, which rounds in other places, runs it too, and of a few pictures that one is
    taken on which the two agree best.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the reference is slow
        reference = ReferenceModel(model)
    engine = EngineModel(model)
    best, least = NO_GOLDEN, float("inf")
    for seed in CANDIDATES:
        image = golden_image(seed, model.spec.input_size)
        golden = Golden.of(seed, reference(image))
        difference = golden.difference(engine(image))
        if difference < least:
            best, least = golden, difference
        if least <= AT_ONCE:
            break
    return replace(model, golden=best)
