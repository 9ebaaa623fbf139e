"""Whole pictures: people, shadows, strangers, occluders, and what a camera does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic.backdrop import draw_backdrop
from bihrnet.data.synthetic.body import KNOWN_JOINTS, SIDES, Array, check_known
from bihrnet.data.synthetic.clutter import draw_occluder
from bihrnet.data.synthetic.degrade import crease, degrade
from bihrnet.data.synthetic.figure import Camera, Figure, Light, bounds, frame_box, rasterize
from bihrnet.data.synthetic.mesh import Mesh
from bihrnet.data.synthetic.paint import Image, blend, lay_over
from bihrnet.data.synthetic.surface import dress
from bihrnet.skeleton import Skeleton

#: No occluder hides more of a person than this share.
MAX_OCCLUSION = 0.4
#: Images whose longer side is larger than this get finer meshes.
_COARSE_UP_TO = 320
_OVERLAP = 1.25  # room of each of several people, in units of their share of the width
_LONGER_SIDE = (200, 256)  # of images whose size is left open, in pixels


@dataclass(frozen=True)
class DrawnPerson:
    """The truth about one person of a scene, in pixels of its image.

    Attributes:
        joints: name -> (x, y) of every joint of `KNOWN_JOINTS`, outside the image too.
        box: (4,) x, y, width, height around the whole body, clipped to the image.
        area: covered by the body, in square pixels; what hides it counts as covered.
        head_size: 0.6 times the diagonal of the head's box, as MPII defines it.
        mask: (H, W) uint8 coverage of the body, where nothing were in front of it.
    """

    joints: dict[str, Array]
    box: Array
    area: float
    head_size: float
    mask: NDArray[np.uint8]

    def keypoints(self, skeleton: Skeleton) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Joints in a skeleton's order: (K, 2) points, and (K,) 1 where inside the image, else 0.

        Occluded joints count as labeled, as in LSP; those outside are (0, 0).

        Raises:
            BihrnetError: the skeleton has a joint that no synthetic person has.
        """
        check_known(skeleton)
        height, width = self.mask.shape
        points = np.array([self.joints[name] for name in skeleton.keypoints], dtype=np.float32)
        last = np.array([width - 1, height - 1])
        within = (points >= 0) & (points <= last)
        inside = np.asarray(within[:, 0] & within[:, 1], dtype=np.float32)
        return points * inside[:, None], inside


@dataclass(frozen=True)
class Scene:
    """A picture and the people that it is about.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        people: labeled people, the nearest last.
    """

    image: Image
    people: tuple[DrawnPerson, ...]


@dataclass(frozen=True)
class _Placed:
    figure: Figure
    mesh: Mesh
    camera: Camera


def draw_scene(
    rng: np.random.Generator,
    size: tuple[int, int] | None = None,
    people: int = 1,
    *,
    families: Sequence[str] | None = None,
    distractions: bool = True,
) -> Scene:
    """Draw a random picture with exact labels.

    Args:
        rng: source of all randomness; the same state gives the same picture.
        size: (height, width) in pixels; None for one that suits the person, some 200 pixels.
        people: how many, at least 1.
        families: names of `poses.FAMILIES` to draw from; None for all.
        distractions: whether to add clutter, strangers, occluders, cut-off bodies and a bad camera.
    """
    camera, light = Camera.draw(rng), Light.draw(rng)
    figures = [Figure.draw(rng, families) for _ in range(people)]
    height, width = size if size is not None else _suitable_size(rng, figures[0], camera)
    placed = _place(rng, figures, camera, (height, width), distractions)
    front = placed[-1].camera

    image = draw_backdrop(rng, (height, width), front.horizon, clutter=distractions)
    if distractions and rng.random() < 0.25:
        for _ in range(int(rng.integers(1, 3))):
            _draw_stranger(rng, image, front, light)
    drawn = [_draw_person(rng, image, person, light) for person in placed]
    if distractions:
        image = _occlude(rng, image, drawn)
        image = degrade(rng, image)
    return Scene(image, tuple(drawn))


def _suitable_size(rng: np.random.Generator, figure: Figure, camera: Camera) -> tuple[int, int]:
    points = camera.project(np.array(list(figure.body.joints.values())))
    width, height = points.max(axis=0) - points.min(axis=0)
    aspect = float(np.clip((width / height) ** rng.uniform(0.2, 0.9), 0.6, 1.6))
    longer = rng.integers(*_LONGER_SIDE)
    return int(longer * min(1, 1 / aspect)), int(longer * min(1, aspect))


def _place(
    rng: np.random.Generator,
    figures: Sequence[Figure],
    camera: Camera,
    size: tuple[int, int],
    distractions: bool,
) -> list[_Placed]:
    """Put people side by side, each in its share of the width, the nearest last."""
    height, width = size
    meshes = [dress(figure.body, figure.outfit, max(size) > _COARSE_UP_TO) for figure in figures]
    cut_off = distractions and len(figures) == 1 and rng.random() < 0.12
    fill = rng.uniform(1.0, 1.6) if cut_off else rng.uniform(0.62, 0.94)
    share = width / len(figures)
    placed = []
    for figure, mesh, slot in zip(figures, meshes, rng.permutation(len(figures)), strict=True):
        if len(figures) == 1:
            extent = fill * np.array([width, height])
            away = 0.5 * np.abs((width, height) - extent)
            middle = np.array([width / 2, height / 2]) + rng.uniform(-1, 1, 2) * away
        else:  # people stand on one floor: who is nearer is larger and lower
            near = rng.uniform(0.75, 1)
            extent = near * fill * np.array([_OVERLAP * share, height])
            lowest = height * (near - 0.05)
            middle = np.array([(slot + rng.uniform(0.4, 0.6)) * share, lowest - extent[1] / 2])
        box = (*(middle - extent / 2), *extent)
        placed.append(_Placed(figure, mesh, frame_box(mesh.corners, camera, box)))
    return sorted(placed, key=lambda person: person.camera.scale)


def _draw_person(
    rng: np.random.Generator, image: Image, person: _Placed, light: Light
) -> DrawnPerson:
    """Draw shadow and body into the image."""
    figure, mesh, camera = person.figure, person.mesh, person.camera
    size = (image.shape[0], image.shape[1])
    if rng.random() < 0.6:
        _cast_shadow(rng, image, figure, camera, light, float(mesh.corners[..., 1].min()))
    layer = rasterize(mesh, camera, light, size)
    crease(rng, layer)
    lay_over(image, layer)

    edge = (size[1] - 1, size[0] - 1)
    low, high = (np.clip(corner, 0, edge) for corner in bounds(camera.project(mesh.corners)))
    body, scale = figure.body, figure.body.head_scale
    reach = body.frames["head"] * (scale * np.array([0.71, 1.0, 0.86]))
    skull = camera.project(body.head_center + np.concatenate([reach.T, -reach.T]))
    mask = np.ascontiguousarray(layer[..., 3])
    return DrawnPerson(
        joints={name: camera.project(body.joints[name]) for name in KNOWN_JOINTS},
        box=np.concatenate([low, np.maximum(high - low, 1.0)]),
        area=float(mask.sum(dtype=np.int64)) / 255,
        head_size=0.6 * float(np.linalg.norm(skull.max(axis=0) - skull.min(axis=0))),
        mask=mask,
    )


def _cast_shadow(
    rng: np.random.Generator,
    image: Image,
    figure: Figure,
    camera: Camera,
    light: Light,
    lowest: float,
) -> None:
    """Darken the floor where limbs keep the light away; the floor lies below bodies in the air."""
    floor = lowest - (0.0 if figure.grounded else rng.uniform(0.1, 0.6))
    ray = camera.rotation.T @ light.direction
    ray = ray / max(ray[1], 0.35)  # a low sun would throw it out of the picture
    joints = figure.body.joints
    bones = [("head_top", "neck"), ("neck", "pelvis"), ("thorax", "pelvis")]
    for side, _ in SIDES:
        bones += [(f"{side}_{a}", f"{side}_{b}") for a, b in (
            ("shoulder", "elbow"), ("elbow", "hand"), ("hip", "knee"), ("knee", "ankle"),
            ("heel", "big_toe"), ("shoulder", "hip"))]  # fmt: skip
    ends = np.array([[joints[first], joints[second]] for first, second in bones])
    fallen = camera.project(ends - ray * (ends[..., 1:2] - floor))
    mask = np.zeros(image.shape[:2], dtype=np.uint8)
    stature = camera.scale / camera.distance
    thick = max(1, min(int(0.07 * stature), 200))
    for start, end in np.clip(fallen, -5000, 5000).astype(int).tolist():
        cv2.line(mask, start, end, 255, thick)
    soft = cv2.blur(mask, (max(1, int(rng.uniform(0.01, 0.09) * stature)),) * 2)
    dark = np.asarray(rng.uniform(0.25, 0.7) * soft, dtype=np.uint8)
    blend(image, np.zeros_like(image), dark)


def _draw_stranger(rng: np.random.Generator, image: Image, camera: Camera, light: Light) -> None:
    """Somebody unlabeled, behind."""
    height, width = image.shape[:2]
    figure = Figure.draw(rng)
    points = np.array(list(figure.body.joints.values()))
    tall = rng.uniform(0.15, 0.75) * height
    box = (
        float(rng.uniform(-0.2, 0.9)) * width,
        float(rng.uniform(0.0, 0.5)) * height,
        width,
        tall,
    )
    far = frame_box(points, replace(camera, distance=2 * camera.distance), box)
    lay_over(image, rasterize(dress(figure.body, figure.outfit), far, light, (height, width)))


def _occlude(rng: np.random.Generator, image: Image, people: Sequence[DrawnPerson]) -> Image:
    if rng.random() > 0.22:
        return image
    covered = image.copy()
    person = people[-1]
    mask = draw_occluder(rng, covered, person.box)
    hidden = cv2.multiply(mask, person.mask, scale=1 / 255).sum(dtype=np.int64) / 255
    return covered if hidden <= MAX_OCCLUSION * max(person.area, 1.0) else image
