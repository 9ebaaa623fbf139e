from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bihrnet.estimate import opencv_log
from bihrnet.estimate.opencv_log import quiet_opencv


def test_the_log_level_is_restored_after_threads_that_silenced_it() -> None:
    level = opencv_log._LOGGING.getLogLevel()

    def silent(_: int) -> int:
        with quiet_opencv():
            return opencv_log._LOGGING.getLogLevel()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(silent, range(200))) == {0}
    assert opencv_log._LOGGING.getLogLevel() == level
