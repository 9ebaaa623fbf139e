"""Draw the sample pictures of the demo and of the docs anew: ``python scripts/make_sample.py``.

The demo's lie in src/bihrnet/samples, and a test holds that they are what this script draws.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic import Scene, draw_scene

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLES = REPOSITORY / "src" / "bihrnet" / "samples"
DOCS = REPOSITORY / "docs" / "images"
_POSES = ("stand", "gesture", "walk", "arms_up", "hands_on_hips", "run", "star", "lunge")


def person() -> Scene:
    """One person, whole and unhidden: the picture of ``bihrnet demo``.

    The seed is one at which the bundled model is right, which it is not always (docs/results.md).
    """
    calm = ("star", "arms_up", "stand", "gesture", "hands_on_hips")
    return draw_scene(np.random.default_rng(650), (720, 720), families=calm, distractions=False)


def people() -> Scene:
    """Three people side by side."""
    return draw_scene(
        np.random.default_rng(118), (480, 720), 3, families=_POSES, distractions=False
    )


def contact_sheet(rows: int = 4, columns: int = 8, side: int = 176) -> NDArray[np.uint8]:
    """Scenes as training sees them, distractions and all."""
    scenes = [
        draw_scene(np.random.default_rng(seed), (side, side)) for seed in range(rows * columns)
    ]
    images = np.stack([scene.image for scene in scenes])
    grid = images.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
    return grid.reshape(rows * side, columns * side, 3)


def main(samples: Path = SAMPLES, docs: Path = DOCS) -> None:
    """Write person.jpg and people.jpg for the demo, synthetic.jpg for the docs."""
    pictures = {
        samples / "person.jpg": person().image,
        samples / "people.jpg": people().image,
        docs / "synthetic.jpg": contact_sheet(),
    }
    for file, image in pictures.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(file), bgr, [cv2.IMWRITE_JPEG_QUALITY, 86])


if __name__ == "__main__":
    main()
