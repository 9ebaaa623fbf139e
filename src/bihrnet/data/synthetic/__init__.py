"""The `synthetic` data set: posed mannequins in clothes before backgrounds, with exact labels."""

from bihrnet.data.synthetic.people import SPLITS, load_synthetic
from bihrnet.data.synthetic.scene import DrawnPerson, Scene, draw_scene

__all__ = ["SPLITS", "DrawnPerson", "Scene", "draw_scene", "load_synthetic"]
