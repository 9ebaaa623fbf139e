from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import fuzz_model_file as fuzz
import numpy as np
import pytest
from small_models import every_op

from bihrnet.engine.golden import Golden
from bihrnet.engine.graph import Tensor
from bihrnet.engine.model_file import from_bytes, read_model, to_bytes, write_model
from bihrnet.errors import BihrnetError

BUNDLED = sorted(
    path.name for path in files("bihrnet.weights").iterdir() if path.name.endswith(".bhr")
)
COUNTS = {"params": 2**63 - 1, "binary_weights": 0, "real_weights": 3}


@pytest.fixture(scope="module")
def content() -> bytes:
    return to_bytes(every_op())


def edited(content: bytes, key: str, edit) -> bytes:
    """The file after `edit` of one JSON value of its metadata."""
    header, data = fuzz.split(content)
    value = json.loads(header["__metadata__"][key])
    header["__metadata__"][key] = json.dumps(edit(value) or value)
    return fuzz.join(header, data)


def longer(content: bytes) -> bytes:
    """A byte more, which the checksum knows of."""
    header, data = fuzz.split(content)
    return fuzz.join(header, data + b"\0")


@pytest.mark.parametrize("name", BUNDLED)
def test_files_of_earlier_versions_still_load(name):
    """The words of the format are kept, whatever the code calls its classes."""
    assert read_model(files("bihrnet.weights") / name).graph.ops


def test_a_file_holds_all_that_was_written(tmp_path):
    model = every_op()
    write_model(model, tmp_path / "model.bhr")
    read = read_model(tmp_path / "model.bhr")
    assert replace(read, constants={}) == replace(model, constants={})
    assert set(read.constants) == set(model.constants)
    for name, constant in model.constants.items():
        assert read.constants[name].dtype == constant.dtype
        np.testing.assert_array_equal(read.constants[name], constant)


def test_it_is_a_safetensors_file(tmp_path):
    from safetensors.numpy import load_file

    write_model(every_op(), tmp_path / "model.bhr")
    assert load_file(tmp_path / "model.bhr")["one.weight"].dtype == np.uint64


def test_an_invalid_model_is_not_written_and_the_old_file_survives(tmp_path):
    path = tmp_path / "model.bhr"
    write_model(every_op(), path)
    before = path.read_bytes()
    broken = replace(every_op(), precision="fp64")
    with pytest.raises(BihrnetError, match="precision"):
        write_model(broken, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(BihrnetError, match=r"none\.bhr: cannot be read: No such file"):
        read_model(tmp_path / "none.bhr")


def test_a_file_without_our_metadata_is_told(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(BihrnetError, match="is not a bihrnet model"):
        read_model(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        (lambda o: b"", "is no safetensors file, or was cut off"),
        (lambda o: o[:100], "is no safetensors file, or was cut off"),
        (lambda o: o[:-1], "is damaged"),
        (lambda o: o + b"\0", "is damaged"),
        (longer, "is not a valid safetensors file"),
        (lambda o: (2**25).to_bytes(8, "little") + b" " * 2**25, "is larger than 16 MiB"),
        (lambda o: o.replace(b'"bihrnet.format":"1"', b'"bihrnet.format":"7"'), "format version 7"),
        (lambda o: o.replace(b'"bihrnet.golden"', b'"bihrnet.goldem"'), "the field 'bihrnet.golde"),
        (lambda o: o.replace(b'{"__meta', b'["__meta', 1), "the header is not valid JSON"),
        (lambda o: o[:8] + b"[" * 10000 + o[10008:], "the header is not valid JSON"),
    ],
)
def test_a_malformed_file_is_refused(content, broken, cause):
    with pytest.raises(BihrnetError, match=cause) as refusal:
        from_bytes(broken(content), "folder/broken.bhr")
    assert str(refusal.value).startswith("folder/broken.bhr: ")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"input_size": [16, 24, 3]}, "input_size must be two integers"),
        ({"input_size": [0, 24]}, "input size"),
        ({"input_size": [16, 10**9]}, "out of range"),
        ({"input_size": [18, 24]}, "cannot add tensor 'low'"),
        ({"stride": 3}, "output of 4 x 6 does not have stride 3"),
        ({"decoding": "soft"}, "decoding must be one of quarter, dark"),
        ({"flip_test": 1}, "flip_test must be true or false"),
        ({"sigma": 0}, "sigma must be a number above 0, at most 64"),
        ({"sigma": True}, "sigma must be a number above 0, at most 64"),
        ({"skeleton": {"name": "x"}}, "a skeleton needs exactly the fields"),
        ({"precision": "int4"}, "precision must be fp32 or int8"),
        ({"counts": {"params": 1.5}}, "counts the integers"),
        ({"counts": COUNTS | {"params": 10**400}}, "none below 0 and all below"),
        ({"counts": COUNTS | {"binary_weights": -1}}, "none below 0 and all below"),
        ({"counts": COUNTS | {"other": 1}}, "counts the integers"),
        ({"surprise": 1}, "bihrnet.model needs exactly the fields"),
    ],
)
def test_a_wrong_description_is_refused(content, change, cause):
    broken = edited(content, "bihrnet.model", lambda value: value | change)
    with pytest.raises(BihrnetError, match=cause):
        from_bytes(broken, "broken.bhr")


def test_large_counts_are_read(content):
    large = edited(content, "bihrnet.model", lambda value: value | {"counts": COUNTS})
    assert from_bytes(large, "large.bhr").counts == COUNTS


def test_not_a_number_has_no_place_in_the_metadata(content):
    broken = edited(content, "bihrnet.model", lambda value: value | {"metrics": {"AP": np.nan}})
    with pytest.raises(BihrnetError, match="holds NaN"):
        from_bytes(broken, "broken.bhr")


def test_heatmaps_must_be_the_skeleton_s(content):
    model = every_op()
    tensors = tuple(
        Tensor("heatmaps", "f32", 15) if tensor.name == "heatmaps" else tensor
        for tensor in model.graph.tensors
    )
    with pytest.raises(BihrnetError, match="before all of it is written"):
        from_bytes(to_bytes(replace(model, graph=replace(model.graph, tensors=tensors))), "x.bhr")


@pytest.mark.parametrize("place", ["graph", "metrics", "constants"])
def test_a_changed_byte_is_found(content, place):
    """Each of these would load: another weight, another name of a tensor, a blank more."""
    header, data = fuzz.split(content)
    metadata = header["__metadata__"]
    old = metadata["bihrnet.checksum"]
    if place == "constants":
        data = data[:-1] + bytes([data[-1] ^ 1])
    elif place == "metrics":
        metadata["bihrnet.model"] = metadata["bihrnet.model"].replace('"metrics":{', '"metrics": {')
    else:
        metadata["bihrnet.graph"] = metadata["bihrnet.graph"].replace("heatmaps", "heatmapz")
    sound = fuzz.join(header, data)
    from_bytes(sound, "sound.bhr")  # with a checksum of its own
    damaged = sound.replace(f'"{metadata["bihrnet.checksum"]}"'.encode(), f'"{old}"'.encode())
    with pytest.raises(BihrnetError, match=r"^broken\.bhr: is damaged: its checksum is not that"):
        from_bytes(damaged, "broken.bhr")


def test_random_damage_is_refused_or_harmless(content):
    outcomes = [fuzz.attempt(mutant) for mutant in fuzz.mutants(content, 3000, seed=0)]
    refused = sum(outcome != "loaded" for outcome in outcomes)
    assert refused > len(outcomes) / 2


def test_the_golden_bears_small_differences_only():
    random = np.random.default_rng(0)
    heatmaps = random.normal(size=(1, 5, 16, 12)).astype(np.float32)
    golden = Golden.of(3, heatmaps)
    assert golden.matches(heatmaps)
    assert golden.matches(heatmaps + 1e-3 * random.normal(size=heatmaps.shape).astype(np.float32))
    assert not golden.matches(heatmaps[:, ::-1])
    assert not golden.matches(heatmaps * 1.2)
    assert not golden.matches(np.full_like(heatmaps, np.nan))
    assert golden.difference(heatmaps * 1.2) == pytest.approx(0.2, rel=1e-3)


def test_the_golden_of_heatmaps_that_never_vary():
    flat = np.full((1, 5, 16, 12), 0.25, np.float32)
    assert Golden.of(3, flat).matches(flat)
    assert not Golden.of(3, flat).matches(flat + 0.01)
