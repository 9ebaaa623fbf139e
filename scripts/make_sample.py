"""Draw the picture of docs/synthetic.md anew: ``python scripts/make_sample.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bihrnet.data.synthetic.scene import draw_scene

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "synthetic.jpg"


def contact_sheet(rows: int = 4, columns: int = 8, side: int = 176) -> NDArray[np.uint8]:
    """Scenes as training sees them, distractions and all: (rows * side, columns * side, 3)."""
    scenes = [
        draw_scene(np.random.default_rng(seed), (side, side)) for seed in range(rows * columns)
    ]
    images = np.stack([scene.image for scene in scenes])
    grid = images.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
    return grid.reshape(rows * side, columns * side, 3)


def main(path: Path = PICTURE) -> None:
    """Write the picture."""
    Image.fromarray(contact_sheet()).save(path, quality=86)


if __name__ == "__main__":
    main()
