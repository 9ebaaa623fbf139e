"""Whole pictures: a person, strangers, occluders, and what a camera does to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic.backdrop import draw_backdrop, draw_occluder
from bihrnet.data.synthetic.body import KNOWN_JOINTS, Array, check_known
from bihrnet.data.synthetic.figure import Camera, Light, bounds, draw_body, frame_box, rasterize
from bihrnet.data.synthetic.outfit import Outfit
from bihrnet.data.synthetic.paint import Image, add_grain, lay_over
from bihrnet.data.synthetic.surface import Mesh, dress
from bihrnet.skeleton import Skeleton

#: No occluder hides more of a person than this share.
MAX_OCCLUSION = 0.4
_LONGER_SIDE = (200, 256)  # of images whose size is left open, in pixels


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about the person that it is about, in pixels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        joints: name -> (x, y) of every joint of `KNOWN_JOINTS`, outside the image too.
        box: (4,) x, y, width, height around the whole body, clipped to the image.
        head_size: 0.6 times the diagonal of the head's box, as MPII defines it.
        mask: (H, W) uint8 coverage of the body as if nothing were in front of it.
    """

    image: Image
    joints: dict[str, Array]
    box: Array
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
        inside = ((points >= 0) & (points <= (width - 1, height - 1))).all(axis=1)
        visible = np.asarray(inside, dtype=np.float32)
        return points * visible[:, None], visible


def draw_scene(
    rng: np.random.Generator,
    size: tuple[int, int] | None = None,
    *,
    distractions: bool = True,
) -> Scene:
    """Draw a random picture with exact labels.

    Args:
        rng: source of all randomness; the same state gives the same picture.
        size: (height, width) in pixels; None for one that suits the person, some 200 pixels.
        distractions: whether to add clutter, strangers, occluders, cut-off bodies and a bad camera.
    """
    camera, light, body = Camera.draw(rng), Light.draw(rng), draw_body(rng)
    mesh = dress(body, Outfit.draw(rng))
    if size is None:
        size = _suitable_size(rng, camera.project(mesh.corners))
    camera = _aim(rng, camera, mesh, size, distractions)
    image = draw_backdrop(rng, size, camera.horizon, clutter=distractions)
    if distractions and rng.random() < 0.25:
        _draw_stranger(rng, image, camera, light)
    layer = rasterize(mesh, camera, light, size)
    lay_over(image, layer)

    low, high = bounds(camera.project(mesh.corners))
    edge = np.array([size[1] - 1, size[0] - 1])
    low, high = np.clip(low, 0, edge), np.clip(high, 0, edge)
    box, mask = np.concatenate([low, np.maximum(high - low, 1.0)]), layer[..., 3].copy()
    if distractions:
        if rng.random() < 0.22:
            image = _occlude(rng, image, box, mask)
        image = _degrade(rng, image)
    reach = body.frames["head"] * (body.head_scale * np.array([0.71, 1.0, 0.86]))
    skull = camera.project(body.head_center + np.concatenate([reach.T, -reach.T]))
    joints = camera.project(np.stack([body.joints[name] for name in KNOWN_JOINTS]))
    return Scene(
        image=image,
        joints=dict(zip(KNOWN_JOINTS, joints, strict=True)),
        box=box,
        head_size=0.6 * float(np.linalg.norm(np.ptp(skull, axis=0))),
        mask=mask,
    )


def _suitable_size(rng: np.random.Generator, points: Array) -> tuple[int, int]:
    low, high = bounds(points)
    width, height = high - low
    aspect = float(np.clip((width / height) ** rng.uniform(0.2, 0.9), 0.6, 1.6))
    longer = rng.integers(*_LONGER_SIDE)
    return int(longer * min(1, 1 / aspect)), int(longer * min(1, aspect))


def _aim(
    rng: np.random.Generator,
    camera: Camera,
    mesh: Mesh,
    size: tuple[int, int],
    distractions: bool,
) -> Camera:
    """Put the person somewhere in the image, now and then too large for it."""
    cut_off = distractions and rng.random() < 0.12
    whole = np.array(size[::-1])
    extent = (rng.uniform(1.0, 1.6) if cut_off else rng.uniform(0.62, 0.94)) * whole
    middle = whole / 2 + rng.uniform(-1, 1, 2) * np.abs(whole - extent) / 2
    x, y = (float(value) for value in middle - extent / 2)
    return frame_box(mesh.corners, camera, (x, y, float(extent[0]), float(extent[1])))


def _draw_stranger(rng: np.random.Generator, image: Image, camera: Camera, light: Light) -> None:
    """Somebody unlabeled, behind."""
    height, width = image.shape[:2]
    mesh = dress(draw_body(rng), Outfit.draw(rng))
    x, y, tall = rng.uniform((-0.2, 0.0, 0.15), (0.9, 0.5, 0.75)) * (width, height, height)
    far = replace(camera, distance=2 * camera.distance)
    far = frame_box(mesh.corners, far, (float(x), float(y), width, float(tall)))
    lay_over(image, rasterize(mesh, far, light, (height, width)))


def _occlude(rng: np.random.Generator, image: Image, box: Array, body: NDArray[np.uint8]) -> Image:
    """Put something in front, unless it would hide too much."""
    covered = image.copy()
    mask = draw_occluder(rng, covered, box)
    hidden = int(((mask > 127) & (body > 127)).sum())
    return covered if hidden <= MAX_OCCLUSION * (body > 127).sum() else image


def _degrade(rng: np.random.Generator, image: Image) -> Image:
    """Low resolution, gamma, contrast, color cast, gray, noise: each in some pictures only."""
    height, width = image.shape[:2]
    if rng.random() < 0.2:
        factor = float(rng.uniform(0.35, 0.8))
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(small, (width, height)), dtype=np.uint8)
    level = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.18))
    level = 0.5 + (level - 0.5) * rng.uniform(0.75, 1.2) + rng.normal(0, 0.04)
    level = level * (1 + rng.normal(0, 0.04, 3))
    curves = np.clip(255 * level, 0, 255).astype(np.uint8)[None]
    image = np.asarray(cv2.LUT(image, curves), dtype=np.uint8)
    if rng.random() < 0.07:
        image = np.asarray(cv2.merge([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3), np.uint8)
    if rng.random() < 0.4:
        image = add_grain(rng, image, strength=int(rng.integers(3, 40)))
    return image
