from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from bihrnet.data import PeopleDataset, Person, datasets, load_dataset
from bihrnet.errors import BihrnetError
from bihrnet.evaluation.coco import dataset_results
from bihrnet.evaluation.evaluate import evaluate
from bihrnet.evaluation.predict import predict_dataset
from bihrnet.evaluation.protocols import PROTOCOLS, score_predictions
from bihrnet.model import ModelSpec
from bihrnet.skeleton import COCO, LSP, MPII, Skeleton

SIZE = (128, 96)


class Oracle:
    """A perfect model: it knows every crop by its pixels and draws unrounded Gaussians."""

    def __init__(self, dataset: PeopleDataset, size: tuple[int, int] = SIZE, **defaults) -> None:
        self.spec = ModelSpec("oracle", dataset.skeleton, size, **defaults)
        self.calls: list[int] = []
        self._joints = {}
        for person in dataset.people:
            crop = person.crop(size)
            pixels, points = crop.warp(person.read_image()), crop.to_input(person.keypoints)
            mirrored = points[dataset.skeleton.flip_permutation] * [-1, 1] + [size[1] - 1, 0]
            self._joints[pixels.tobytes()] = points
            self._joints[pixels[:, ::-1].tobytes()] = mirrored

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        assert crops.dtype == np.uint8
        assert crops.flags.c_contiguous
        self.calls.append(len(crops))
        height, width = self.spec.input_size
        rows, columns = np.mgrid[: height // 4, : width // 4]
        points = np.stack([self._joints[crop.tobytes()] for crop in crops]) / 4
        squared = (columns - points[..., 0, None, None]) ** 2
        squared = squared + (rows - points[..., 1, None, None]) ** 2
        return np.exp(-squared / (2 * 2**2)).astype(np.float32)


class Constant:
    """Sees every joint in the same corner of the crop."""

    def __init__(self, dataset: PeopleDataset, peak: float = 1) -> None:
        self.spec = ModelSpec("constant", dataset.skeleton, (64, 64), flip_test=False)
        self.peak = peak

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        heatmaps = np.zeros((len(crops), len(self.spec.skeleton), 16, 16), dtype=np.float32)
        heatmaps[:, :, 3, 3] = self.peak
        return heatmaps


def crowd(count: int = 7, skeleton: Skeleton = LSP, name: str = "lsp") -> PeopleDataset:
    """People in pictures of noise, their joints anywhere in the middle of their box."""
    people = []
    for index in range(count):
        rng = np.random.default_rng(index)
        corner, size = rng.uniform(10, 60, 2), rng.uniform(120, 200, 2)
        keypoints = corner + size * rng.uniform(0.2, 0.8, (len(skeleton), 2))
        keypoints[skeleton.index("right_shoulder")] = corner + 0.2 * size
        keypoints[skeleton.index("left_hip")] = corner + 0.8 * size
        people.append(
            Person.from_box(
                [*corner, *size],
                image=rng.integers(0, 256, (280, 300, 3), dtype=np.uint8),
                image_id=index // 2,
                instance_id=index,
                keypoints=keypoints.astype(np.float32),
                visible=np.ones(len(skeleton), dtype=np.float32),
            )
        )
    return PeopleDataset(name, "test", skeleton, people)


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("decoding", ["quarter", "dark"])
def test_a_perfect_model_finds_every_joint(flip_test: bool, decoding: str) -> None:
    dataset = crowd()
    evaluation = evaluate(Oracle(dataset), dataset, flip_test=flip_test, decoding=decoding)
    worst = 0.5 if decoding == "quarter" else 0.15  # heatmap pixels
    for person, prediction in zip(dataset.people, evaluation.predictions, strict=True):
        pixel = 4 * person.crop(SIZE).size[0] / SIZE[1]
        assert np.abs(prediction[:, :2] - person.keypoints).max() <= worst * pixel
    assert (evaluation.predictions[:, :, 2] > 0.8).all()
    assert evaluation.scores.metrics["PCK@0.2"] == 100


def test_flip_test_calls_the_model_with_mirrored_crops_and_averages() -> None:
    dataset = crowd(3)
    oracle = Oracle(dataset)
    plain = predict_dataset(oracle, dataset.people, flip_test=False, decoding="dark")
    assert oracle.calls == [3]
    merged = predict_dataset(oracle, dataset.people, flip_test=True, decoding="dark")
    assert oracle.calls == [3, 3, 3]
    # The shift leaves the mirrored map a quarter of a pixel to the right, their mean an eighth.
    pixel = np.array([4 * person.crop(SIZE).size[0] / SIZE[1] for person in dataset.people])
    offset = (merged - plain)[:, :, 0] / pixel[:, None]
    np.testing.assert_allclose(np.median(offset), 1 / 8, atol=0.02)


def test_predictions_do_not_depend_on_the_batch_size() -> None:
    dataset = crowd(7)
    seen: list[tuple[int, int]] = []
    oracle = Oracle(dataset)
    by_three = predict_dataset(
        oracle,
        dataset.people,
        flip_test=False,
        batch_size=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert oracle.calls == [3, 3, 1]
    assert seen == [(3, 7), (6, 7), (7, 7)]
    np.testing.assert_array_equal(
        by_three, predict_dataset(oracle, dataset.people, flip_test=False)
    )
    assert by_three.shape == (7, 14, 3)
    assert by_three.dtype == np.float32


def test_parts_predicted_apart_are_scored_together() -> None:
    """As several processes do in training."""
    dataset = crowd(7)
    oracle = Oracle(dataset)
    parts = [predict_dataset(oracle, dataset.people[part::2]) for part in (0, 1)]
    gathered = np.empty((7, 14, 3), dtype=np.float32)
    gathered[0::2], gathered[1::2] = parts
    whole = evaluate(oracle, dataset)
    assert score_predictions(dataset, gathered) == whole.scores


def test_the_models_defaults_hold_unless_given_otherwise() -> None:
    dataset = crowd(2)
    model = Oracle(dataset, flip_test=False, decoding="dark")
    as_model = evaluate(model, dataset)
    assert (as_model.flip_test, as_model.decoding) == (False, "dark")
    as_given = evaluate(model, dataset, flip_test=True, decoding="quarter")
    assert (as_given.flip_test, as_given.decoding) == (True, "quarter")


def test_json_has_the_keys_of_the_design() -> None:
    dataset = crowd(3)
    blind = replace(dataset.people[2], visible=np.zeros(14, dtype=np.float32))
    dataset = replace(dataset, people=[*dataset.people[:2], blind])
    report = evaluate(Oracle(dataset), dataset).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert {key: report[key] for key in ("model", "dataset", "split", "instances", "boxes")} == {
        "model": "oracle",
        "dataset": "lsp",
        "split": "test",
        "instances": 3,
        "boxes": "ground truth",
    }
    assert report["flip_test"] is True
    assert list(report["metrics"]) == ["PCKh@0.5", "PCK@0.2"]
    assert report["left_out"] == {"PCKh@0.5": 1, "PCK@0.2": 1}
    assert list(report["by_joint"]["PCK@0.2"]) == list(LSP.keypoints)


def test_data_sets_name_the_protocols_and_no_others() -> None:
    assert {entry.protocol for entry in datasets().values()} == set(PROTOCOLS)


def test_ap_needs_an_annotation_file() -> None:
    dataset = replace(crowd(1), protocol="coco")
    with pytest.raises(BihrnetError, match="data set 'lsp' has no annotation file, which AP needs"):
        score_predictions(dataset, np.zeros((1, 14, 3), np.float32))


def test_a_metric_that_cannot_be_computed_is_absent() -> None:
    dataset = crowd(2)
    headless = np.ones(14, dtype=np.float32)
    headless[LSP.index("head_top")] = 0
    people = [replace(person, visible=headless) for person in dataset.people]
    scores = score_predictions(replace(dataset, people=people), np.zeros((2, 14, 3), np.float32))
    assert list(scores.metrics) == ["PCK@0.2"]
    assert scores.by_joint["PCKh@0.5"] == {}
    assert "head_top" not in scores.by_joint["PCK@0.2"]
    assert scores.left_out == {"PCKh@0.5": 2, "PCK@0.2": 0}


def test_coco_joints_without_annotation_file_get_pck() -> None:
    dataset = crowd(3, COCO, "synthetic")
    assert evaluate(Oracle(dataset), dataset).scores.metrics == {"PCK@0.2": 100}


def test_mpii_takes_annotated_head_sizes_before_derived_ones() -> None:
    """Errors of 30 px: within half of an annotated 100 px, beyond half of a derived 0.75 x 60."""
    dataset = replace(crowd(2, MPII, "mpii"), protocol="mpii")
    for person in dataset.people:
        person.keypoints[MPII.index("neck")] = person.keypoints[MPII.index("head_top")] + (0, 60)
    truth = np.stack([person.keypoints for person in dataset.people])
    predictions = np.dstack([truth[..., 0] + 30, truth[..., 1], np.ones((2, 16))])
    annotated = [replace(person, head_size=100.0) for person in dataset.people]
    scores = score_predictions(replace(dataset, people=annotated), predictions)
    assert scores.metrics == {"PCKh@0.5": 100, "PCKh@0.1": 0, "PCKh@0.11": 0}
    assert scores.by_group["PCKh@0.5"]["Mean"] == 100
    assert score_predictions(dataset, predictions).metrics["PCKh@0.5"] == 0


def test_another_skeleton_is_one_sentence() -> None:
    lsp, coco = crowd(1), crowd(1, COCO, "coco")
    with pytest.raises(BihrnetError, match=r"oracle estimates skeleton 'lsp-14', .* 'coco-17'"):
        evaluate(Oracle(lsp), coco)


def test_a_renamed_skeleton_with_the_same_joints_will_do() -> None:
    dataset = crowd(2)
    renamed = replace(dataset, skeleton=replace(LSP, name="leeds"))
    assert evaluate(Oracle(dataset), renamed).scores.metrics["PCK@0.2"] == 100


def test_a_broken_image_is_named_wherever_it_is(tmp_path) -> None:
    dataset = crowd(5)
    oracle = Oracle(dataset)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    people = [*dataset.people[:4], replace(dataset.people[4], image=broken)]
    with pytest.raises(BihrnetError, match=r"broken\.jpg"):
        predict_dataset(oracle, people, batch_size=2)


def test_annotations_without_areas_are_reported_before_the_work(tmp_path) -> None:
    dataset = replace(crowd(2), annotations=tmp_path / "truth.json", protocol="coco")
    person = {"image_id": 1, "bbox": [0, 0, 9, 9], "keypoints": [1, 1, 2] * len(LSP)}
    content = {"images": [{"id": 1}], "annotations": [person]}
    (tmp_path / "truth.json").write_text(json.dumps(content))
    oracle = Oracle(dataset)
    with pytest.raises(BihrnetError, match="has no area"):
        evaluate(oracle, dataset, progress=lambda done, total: pytest.fail("predicted already"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_heatmaps_that_are_not_finite_are_one_sentence(value: float) -> None:
    dataset = crowd(2)
    model = Constant(dataset, value)
    with pytest.raises(BihrnetError, match="constant gives heatmaps that are not finite"):
        predict_dataset(model, dataset.people)


def test_people_of_one_file_are_read_from_it(tmp_path) -> None:
    dataset = crowd(2)
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), dataset.people[0].read_image()[:, :, ::-1])
    on_disk = replace(dataset, people=[replace(dataset.people[0], image=path)])
    np.testing.assert_array_equal(
        predict_dataset(Oracle(dataset), on_disk.people),
        predict_dataset(Oracle(dataset), dataset.people[:1]),
    )


@pytest.mark.parametrize(
    ("name", "folder", "expected"),
    [
        ("coco", "coco/test_coco.json", {"AP": 0.99, "AP50": 1, "AR": 0.99}),
        ("crowdpose", "crowdpose/test_crowdpose.json", {"AP": 0.99, "AP_medium": 0.99}),
        ("mpii", "mpii/test_mpii.json", {"PCKh@0.5": 100, "PCKh@0.11": 100}),
    ],
)
def test_a_perfect_model_on_real_data(shared_data, name, folder, expected) -> None:
    dataset = load_dataset(name, shared_data / "samples" / folder)
    evaluation = evaluate(Oracle(dataset), dataset, decoding="dark")
    for metric, least in expected.items():
        assert evaluation.scores.metrics[metric] >= least, metric
    assert len(evaluation.predictions) == len(dataset)


def test_detected_boxes_count_with_their_score(shared_data) -> None:
    folder = shared_data / "samples/coco"
    boxes = folder / "test_coco_det_AP_H_56.json"
    dataset = load_dataset("coco", folder / "test_coco.json", boxes=boxes)
    predictions = np.full((len(dataset), 17, 3), 0.5, dtype=np.float32)
    results = dataset_results(dataset, predictions)
    best = max(person.score for person in dataset.people)
    assert max(result["score"] for result in results) == pytest.approx(0.5 * best)
    assert len(results) < len(dataset)  # equal poses in an image are one
    scores = score_predictions(dataset, predictions)
    assert scores.metrics["AP"] < 0.01
    assert evaluate(Constant(dataset), dataset, batch_size=64).to_dict()["boxes"] == boxes.name
