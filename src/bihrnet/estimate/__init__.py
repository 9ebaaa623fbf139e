"""From images and video to poses: detectors, top-down estimator, drawing; never imports torch."""
