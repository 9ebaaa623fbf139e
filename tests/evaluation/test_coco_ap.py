from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bihrnet.evaluation.coco import METRICS, coco_results, evaluate_keypoints
from bihrnet.evaluation.coco_files import read_ground_truth, read_results
from bihrnet.pose import oks, pose_score
from bihrnet.skeleton import COCO, CROWDPOSE, LSP, Skeleton

CROWD_METRICS = ("AP_easy", "AP_medium", "AP_hard")


def oracle(results: Sequence[dict], content: dict, skeleton: Skeleton, images=None) -> dict:
    """The same by pycocotools; content and results are COCO's JSON files, parsed."""
    from pycocotools import coco
    from pycocotools.cocoeval import COCOeval

    files = coco.COCO()
    files.dataset = json.loads(json.dumps(content))
    files.createIndex()
    evaluation = COCOeval(files, files.loadRes(json.loads(json.dumps(results))), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
    if images is not None:
        evaluation.params.imgIds = images
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {
        name: value for name, value in zip(METRICS, evaluation.stats, strict=True) if value >= 0
    }


def crowd_oracle(results: Sequence[dict], content: dict) -> dict:
    """CrowdPose by pycocotools: areas from boxes, and three more runs over parts of the images."""
    content = json.loads(json.dumps(content))
    for one in content["annotations"]:
        one["area"] = 0.53 * one["bbox"][2] * one["bbox"][3]
    metrics = oracle(results, content, CROWDPOSE)
    parts = {name: [] for name in CROWD_METRICS}
    for image in content["images"]:
        hard = image["crowdIndex"] >= 0.8
        easy = image["crowdIndex"] < 0.2
        parts["AP_hard" if hard else "AP_easy" if easy else "AP_medium"].append(image["id"])
    for name, images in parts.items():
        metrics |= {name: oracle(results, content, CROWDPOSE, images)["AP"]} if images else {}
    return metrics


def random_content(rng: np.random.Generator, skeleton: Skeleton) -> dict:
    """Annotations with crowds, unlabeled people, empty images and people of every size."""
    images = [{"id": 10 + 7 * n, "crowdIndex": round(rng.random(), 2)} for n in range(12)]
    annotations = []
    for image in images[1:]:
        for _ in range(rng.integers(0, 6)):
            size = np.exp(rng.uniform(np.log(15), np.log(400)))
            corner = rng.uniform(0, 600, 2)
            visible = rng.integers(0, 3, len(skeleton)) * (rng.random() < 0.85)
            points = (corner + rng.uniform(0, size, (len(skeleton), 2))).round(1)
            points *= visible[:, None] > 0
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "bbox": [*corner.tolist(), size, size],
                    "area": 0.6 * size**2,
                    "iscrowd": int(rng.random() < 0.1),
                    "keypoints": np.column_stack([points, visible]).ravel().tolist(),
                    "num_keypoints": int((visible > 0).sum()),
                }
            )
    categories = [{"id": 1, "name": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def perturbed(rng: np.random.Generator, content: dict, joints: int) -> list[dict]:
    """Poses near the annotated ones, some twice or missing, false ones, and many equal scores."""
    results = []

    def add(image_id: int, points: np.ndarray) -> None:
        pose = np.column_stack([points, rng.random(joints)])
        results.append(
            {
                "image_id": image_id,
                "category_id": 1,
                "keypoints": pose.ravel().tolist(),
                "score": float(rng.choice([0.1, 0.5, 0.5, 0.9, rng.random()])),
            }
        )

    for one in content["annotations"]:
        points = np.array(one["keypoints"], dtype=float).reshape(-1, 3)[:, :2]
        for _ in range(rng.choice([0, 1, 1, 2])):
            noise = 0.05 * np.sqrt(one["bbox"][2] * one["bbox"][3])
            add(one["image_id"], points + rng.normal(0, noise, points.shape))
    for image in content["images"]:
        for _ in range(rng.choice([0, 1, 25], p=[0.6, 0.3, 0.1])):
            add(image["id"], rng.uniform(0, 600, (joints, 2)))
    rng.shuffle(results)
    return results


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def as_predictions(content: dict, scale=(1.0, 1.0, 1.0)) -> tuple[list[int], np.ndarray, list]:
    """Image ids, annotated keypoints times `scale` (x, y, flag), and areas (1.25 w) (1.25 h)."""
    people = content["annotations"]
    keypoints = np.array([one["keypoints"] for one in people], np.float32).reshape(
        len(people), -1, 3
    )
    areas = [1.25 * one["bbox"][2] * 1.25 * one["bbox"][3] for one in people]
    return [one["image_id"] for one in people], keypoints * np.float32(scale), areas


@pytest.fixture
def coco_sample(shared_data) -> Path:
    return shared_data / "samples/coco/test_coco.json"


def test_known_values_of_the_coco_sample(coco_sample) -> None:
    """The published tool's test: x 0.98, y 1.02, visibility flag (0, 1, 2) 0.8 as keypoint score.

    Nearly all scores are equal then, so the values hold only with every rule in place: keypoint
    scores summed in joint order in float32, people without any labeled joint kept with score 0,
    of equal poses in an image the later one first, images in the order of their ids.
    """
    ids, keypoints, areas = as_predictions(
        json.loads(coco_sample.read_text()), scale=(0.98, 1.02, 0.8)
    )
    results = coco_results(ids, keypoints, [0.98] * len(ids), areas, COCO)
    assert len(results) == 14
    metrics = evaluate_keypoints(results, read_ground_truth(coco_sample, 17, "coco"), COCO)
    known = {
        "AP": 0.5287458745874588,
        "AP50": 0.9042904290429042,
        "AP75": 0.5009900990099010,
        "APM": 0.4247524752475247,
        "APL": 0.6219554455445544,
        "AR": 0.5833333333333333,
    }
    for name, value in known.items():
        assert metrics[name] == pytest.approx(value, abs=1e-9), name


def test_truth_as_prediction_gives_ten_ones(coco_sample) -> None:
    ids, keypoints, areas = as_predictions(json.loads(coco_sample.read_text()))
    results = coco_results(ids, keypoints, [1.0] * len(ids), areas, COCO)
    metrics = evaluate_keypoints(results, read_ground_truth(coco_sample, 17, "coco"), COCO)
    assert metrics == pytest.approx(dict.fromkeys(METRICS, 1.0), abs=1e-9)


@pytest.mark.parametrize(
    "file", ["coco/test_coco.json", "coco-mini/person_keypoints_train2017.json"]
)
@pytest.mark.parametrize("seed", range(3))
def test_real_annotations_are_judged_as_by_pycocotools(shared_data, file, seed) -> None:
    path = shared_data / "samples" / file
    content = json.loads(path.read_text())
    results = perturbed(np.random.default_rng(seed), content, 17)
    metrics = evaluate_keypoints(results, read_ground_truth(path, 17, "coco"), COCO)
    assert metrics == pytest.approx(oracle(results, content, COCO), abs=1e-9)
    assert 0.05 < metrics["AP"] < 0.95


@pytest.mark.parametrize("skeleton", [COCO, LSP], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("seed", range(6))
def test_any_skeleton_is_judged_as_by_pycocotools_with_its_own_sigmas(tmp_path, seed, skeleton):
    rng = np.random.default_rng(seed)
    content = random_content(rng, skeleton)
    path = write(tmp_path / "truth.json", content)
    results = perturbed(rng, content, len(skeleton))
    metrics = evaluate_keypoints(results, read_ground_truth(path, len(skeleton), "coco"), skeleton)
    assert metrics == pytest.approx(oracle(results, content, skeleton), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_crowdpose_takes_box_areas_and_parts_by_crowd_index(tmp_path, seed) -> None:
    rng = np.random.default_rng(seed)
    content = random_content(rng, CROWDPOSE)
    path = write(tmp_path / "truth.json", content)
    results = perturbed(rng, content, 14)
    metrics = evaluate_keypoints(results, read_ground_truth(path, 14, "crowdpose"), CROWDPOSE)
    assert set(CROWD_METRICS) <= set(metrics)
    assert metrics == pytest.approx(crowd_oracle(results, content), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_crowdpose_sample(shared_data, seed) -> None:
    """Its annotations have no areas at all; both images are of medium crowdedness."""
    path = shared_data / "samples/crowdpose/test_crowdpose.json"
    content = json.loads(path.read_text())
    truth = read_ground_truth(path, 14, "crowdpose")
    results = perturbed(np.random.default_rng(seed), content, 14)
    metrics = evaluate_keypoints(results, truth, CROWDPOSE)
    assert metrics == pytest.approx(crowd_oracle(results, content), abs=1e-9)
    assert metrics["AP_medium"] == metrics["AP"]

    ids, keypoints, areas = as_predictions(content)
    perfect = coco_results(ids, keypoints, [1.0] * len(ids), areas, CROWDPOSE)
    assert set(evaluate_keypoints(perfect, truth, CROWDPOSE).values()) == {1.0}


def test_no_poses_score_zero_and_what_has_no_truth_is_absent(tmp_path) -> None:
    content = random_content(np.random.default_rng(0), COCO)
    small = [one for one in content["annotations"] if one["area"] < 32**2]
    path = write(tmp_path / "small.json", {**content, "annotations": small})
    metrics = evaluate_keypoints([], read_ground_truth(path, 17, "coco"), COCO)
    assert metrics == dict.fromkeys(("AP", "AP50", "AP75", "AR", "AR50", "AR75"), 0)


def test_without_any_labeled_person_nothing_can_be_computed(tmp_path) -> None:
    content = random_content(np.random.default_rng(0), COCO)
    path = write(tmp_path / "empty.json", {**content, "annotations": []})
    truth = read_ground_truth(path, 17, "coco")
    poses = perturbed(np.random.default_rng(0), content, 17)
    assert evaluate_keypoints(poses, truth, COCO) == {}
    assert evaluate_keypoints([], truth, COCO) == {}


def test_poses_are_not_written_to_and_their_boxes_are_not_looked_at(tmp_path) -> None:
    rng = np.random.default_rng(1)
    content = random_content(rng, COCO)
    truth = read_ground_truth(write(tmp_path / "truth.json", content), 17, "coco")
    results = perturbed(rng, content, 17)
    before = json.dumps(results)
    metrics = evaluate_keypoints(results, truth, COCO)
    assert json.dumps(results) == before
    boxed = [{**result, "bbox": [0, 0, 1, 1], "id": 5} for result in results]
    assert evaluate_keypoints(boxed, truth, COCO) == metrics


def test_standard_output_stays_empty(tmp_path, capfd) -> None:
    rng = np.random.default_rng(1)
    content = random_content(rng, CROWDPOSE)
    truth = read_ground_truth(write(tmp_path / "truth.json", content), 14, "crowdpose")
    evaluate_keypoints(perturbed(rng, content, 14), truth, CROWDPOSE)
    assert capfd.readouterr() == ("", "")


def test_annotation_ids_do_not_matter(tmp_path) -> None:
    """An id of 0 would count as unmatched in COCO's own matching."""
    rng = np.random.default_rng(2)
    content = random_content(rng, COCO)
    results = perturbed(rng, content, 17)
    shifted = [{**one, "id": one["id"] - 1} for one in content["annotations"]]
    metrics = [
        evaluate_keypoints(
            results, read_ground_truth(write(tmp_path / "t.json", truth), 17, "coco"), COCO
        )
        for truth in (content, {**content, "annotations": shifted})
    ]
    assert metrics[0] == metrics[1]


def test_results_are_scored_and_freed_of_duplicates_image_by_image() -> None:
    rng = np.random.default_rng(0)
    pose = np.column_stack([rng.uniform(0, 100, (17, 2)), np.full(17, 0.5)]).astype(np.float32)
    twin, weak = pose.copy(), pose + np.float32([500, 0, 0])
    twin[:, 0] += 0.1
    weak[3:, 2] = 0.1
    poses = np.stack([weak, pose, twin, pose])
    results = coco_results([7, 7, 7, 3], poses, [0.5, 0.8, 0.9, 1.0], [5000.0] * 4, COCO)
    assert [result["image_id"] for result in results] == [7, 7, 3]
    np.testing.assert_allclose(
        [result["score"] for result in results], [0.9 * 0.5, 0.5 * 0.5, 0.5], rtol=1e-6
    )
    assert results[0]["keypoints"] == twin.astype(float).ravel().tolist()
    assert results[0]["score"] == pose_score(0.9, twin[:, 2])
    assert oks(twin[:, :2], [pose[:, :2]], 5000, [5000], COCO.sigmas)[0] > 0.9


def test_results_survive_the_file(tmp_path) -> None:
    rng = np.random.default_rng(3)
    content = random_content(rng, COCO)
    truth = read_ground_truth(write(tmp_path / "truth.json", content), 17, "coco")
    results = perturbed(rng, content, 17)
    read = read_results(write(tmp_path / "results.json", results), 17, truth)
    assert evaluate_keypoints(read, truth, COCO) == evaluate_keypoints(results, truth, COCO)
