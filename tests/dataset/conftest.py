"""What the tests of the data set share."""

import pytest

from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import read_recordings


@pytest.fixture
def extracted(small_dataset, tmp_path):
    """Frames 0, 10 and 20 of clip, which has 25, and 0, 2 and 10 of the folder shots."""
    extract_frames(read_recordings(small_dataset), 10, tmp_path / "frames", jobs=1)
    return tmp_path / "frames"
