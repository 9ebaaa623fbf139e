from __future__ import annotations

import numpy as np
import pytest

from bihrnet.errors import BihrnetError
from bihrnet.export.crops import calibration_crops
from bihrnet.images import write_image
from bihrnet.skeleton import LSP


def test_images_are_taken_whole_and_spread(tmp_path):
    for number in range(10):
        (tmp_path / "deep").mkdir(exist_ok=True)
        image = np.full((40, 20, 3), 20 * number, dtype=np.uint8)
        write_image(tmp_path / "deep" / f"{number}.png", image)
    crops = calibration_crops(tmp_path, (64, 32), LSP, count=4)
    assert crops.shape == (4, 64, 32, 3)
    assert crops.dtype == np.uint8
    assert crops[:, 32, 16, 0].tolist() == [0, 60, 120, 180]
    # The whole picture: no black frame but the outermost interpolated pixels.
    assert (crops[3, 2:-2, 2:-2] == 180).all()


def test_people_of_a_data_set_are_cropped(shared_data):
    crops = calibration_crops(shared_data / "lspet", (128, 96), LSP, count=5)
    assert crops.shape == (5, 128, 96, 3)
    crops = calibration_crops(shared_data / "samples" / "mpii", (64, 64), LSP, count=5)
    assert len(crops) == 5


@pytest.mark.parametrize(
    ("name", "sentence"), [("none", "there is no such folder"), ("empty", "neither a data set nor")]
)
def test_nothing_to_calibrate_on_is_told(tmp_path, name, sentence):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BihrnetError, match=f"{name}: .*{sentence}"):
        calibration_crops(tmp_path / name, (64, 32), LSP)
