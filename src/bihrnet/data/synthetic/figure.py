"""A person in front of the camera: projection, shading and rasterization."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic.body import Array, Body, Build, pose_body, turn
from bihrnet.data.synthetic.poses import draw_pose
from bihrnet.data.synthetic.surface import Mesh

_SUPERSAMPLING = 2
_SUBPIXEL_BITS = 4
_MEAN = np.full(4, 0.25)  # of a face's corners


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks at the origin along -z of its own frame (x right, y up).

    Attributes:
        rotation: (3, 3) world -> camera.
        distance: of the origin, in statures.
        scale: focal length in pixels.
        origin: (x, y) pixel where the world's origin appears.
    """

    rotation: Array
    distance: float
    scale: float = 1.0
    origin: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Camera:
        """A random viewpoint: mostly near eye level, now and then high above or far below."""
        elevation = rng.normal(6, 9) if rng.random() < 0.8 else rng.normal(0, 28)
        roll = rng.normal(0, 5)
        return cls(turn(x=float(np.clip(elevation, -50, 65)), z=float(np.clip(roll, -20, 20))),
                   distance=float(rng.uniform(1.7, 6.0)))  # fmt: skip

    def project(self, points: Array) -> Array:
        """(..., 3) world points -> (..., 2) pixels."""
        seen = points @ self.rotation.T
        factor = self.scale / (self.distance - seen[..., 2:])
        return seen[..., :2] * factor * (1, -1) + self.origin

    @property
    def horizon(self) -> tuple[float, float, float]:
        """A point (x, y) of the horizon in pixels, and its slope as an angle in degrees."""
        right, up, away = self.rotation @ (0, 0, -1.0)
        angle = np.degrees(np.arctan2(self.rotation[1, 0], self.rotation[0, 0]))
        depth = max(-away, 1e-3)
        x, y = self.origin
        return x + self.scale * right / depth, y - self.scale * up / depth, float(-angle)


@dataclass(frozen=True)
class Light:
    """Illumination.

    Attributes:
        direction: (3,) unit vector to the lamp or sun, in camera axes.
        ambient, lamp: (3,) RGB intensities.
    """

    direction: Array
    ambient: Array
    lamp: Array

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Light:
        """Soft or harsh, warm or cold; from above mostly."""
        direction = rng.normal(0, 1, 3) * (1, 0.5, 0.8) + (0, 0.8, 0.5)
        ambient, warmth = rng.uniform(0.45, 0.9), rng.uniform(-0.10, 0.12)
        return cls(
            direction=direction / max(float(np.linalg.norm(direction)), 1e-6),
            ambient=rng.uniform(0.8, 1.2) * ambient * np.ones(3),
            lamp=1.3 * (1.12 - ambient) * np.array([1 + warmth, 1.0, 1 - warmth]),
        )

    def shade(self, normals: Array, colors: Array) -> Array:
        """(n, 3) unit normals in camera axes and colors -> lit colors."""
        facing = np.maximum(normals @ self.direction, 0)[:, None]
        sky = 0.82 + 0.18 * normals[:, 1:2]
        return colors * (self.ambient * sky + self.lamp * facing)


def draw_body(rng: np.random.Generator) -> Body:
    """A random person in a random pose, whose limbs mostly stay out of the trunk."""
    build = Build.draw(rng)
    for _ in range(4):
        facing = float(rng.uniform(-180, 180) if rng.random() < 0.65 else rng.normal(0, 35))
        body = pose_body(build, draw_pose(rng), facing)
        if not body.intersects_itself():
            break
    return body


def bounds(points: Array) -> tuple[Array, Array]:
    """Lowest and highest x and y of (..., 2) points."""
    x_y = np.ascontiguousarray(points.reshape(-1, 2).T)  # long rows reduce much faster
    return x_y.min(axis=1), x_y.max(axis=1)


def frame_box(points: Array, camera: Camera, box: tuple[float, float, float, float]) -> Camera:
    """Zoom and shift a camera so that (n, 3) points fill a box x, y, w, h as far as its shape lets.

    Points are centered in the box.
    """
    plain = replace(camera, scale=1.0, origin=(0.0, 0.0)).project(points)
    low, high = bounds(plain)
    scale = float(min(box[2] / (high[0] - low[0]), box[3] / (high[1] - low[1])))
    middle = scale * (low + high) / 2
    origin = (box[0] + box[2] / 2 - middle[0], box[1] + box[3] / 2 - middle[1])
    return replace(camera, scale=scale, origin=(float(origin[0]), float(origin[1])))


def rasterize(mesh: Mesh, camera: Camera, light: Light, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw a mesh back to front (painter's algorithm).

    Args:
        mesh: what to draw.
        camera: from where.
        light: in which light.
        size: (height, width) of the image.

    Returns:
        (H, W, 4) uint8: RGB multiplied by coverage, and coverage.
    """
    layer = np.zeros((*size, 4), dtype=np.uint8)
    corners = mesh.corners @ camera.rotation.T
    depth = camera.distance - corners[..., 2]
    points = corners[..., :2] * (camera.scale / depth)[..., None] * (1, -1) + camera.origin
    (ax, ay), (bx, by) = (np.moveaxis(points[:, k + 2] - points[:, k], 1, 0) for k in (0, 1))
    shown = (ax * by - bx * ay < 0) & (depth @ _MEAN > 0.1)
    points, corners, depth = points[shown], corners[shown], depth[shown]
    if not len(points):
        return layer
    lowest, highest = bounds(points)
    # The part of the image that the figure covers, drawn at twice the resolution.
    low = np.floor(np.clip(lowest - 1, 0, size[::-1])).astype(int)
    high = np.ceil(np.clip(highest + 2, 0, size[::-1])).astype(int)
    if (high <= low).any():
        return layer
    normals = _normals(corners)
    lit = np.clip(255 * light.shade(normals, mesh.colors[shown]), 0, 255).astype(np.uint8)
    order = np.argsort(-(depth @ _MEAN), kind="stable")
    fine = ((points[order] - low + 0.5) * _SUPERSAMPLING - 0.5) * 2**_SUBPIXEL_BITS
    width, height = (int(side) for side in (high - low) * _SUPERSAMPLING)
    canvas = np.zeros((height, width, 4), dtype=np.uint8)
    for face, (red, green, blue) in zip(
        np.rint(fine).astype(np.int32), lit[order].tolist(), strict=True
    ):
        cv2.fillConvexPoly(canvas, face, (red, green, blue, 255), cv2.LINE_8, _SUBPIXEL_BITS)
    small = cv2.resize(canvas, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    layer[low[1] : high[1], low[0] : high[0]] = small
    return layer


def _normals(corners: Array) -> Array:
    (ax, ay, az), (bx, by, bz) = (
        np.moveaxis(corners[:, k + 2] - corners[:, k], 1, 0) for k in (0, 1)
    )
    normal = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)
    return normal / np.maximum(np.sqrt((normal**2).sum(axis=1, keepdims=True)), 1e-12)
