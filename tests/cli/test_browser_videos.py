"""Videos that cardpose writes, played by a real browser."""

import base64

import numpy as np
import pytest
from support import COLOURS, stripes

from cardpose.cli.own_files import mark_video
from cardpose.pictures.writing import video_output

RATE, FRAMES = 25, 30

# Returns the size of a video, and the colours along the middle row at each of the times.
PLAY = """async ([source, times, columns]) => {
    const video = document.createElement('video');
    video.muted = true;
    document.body.append(video);
    video.src = source;
    await new Promise((loaded, failed) => {
        video.onloadeddata = loaded;
        video.onerror = () => failed(video.error.message);
    });
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d');
    const frames = [];
    for (const time of times) {
        const sought = new Promise(done => { video.onseeked = done; });
        video.currentTime = time;
        await sought;
        context.drawImage(video, 0, 0);
        const row = context.getImageData(0, canvas.height >> 1, canvas.width, 1).data;
        frames.push(columns.map(x => [...row.slice(4 * x, 4 * x + 3)]));
    }
    return [video.videoWidth, video.videoHeight, video.duration, frames];
}"""


@pytest.fixture
def page(browser):
    page = browser.new_page()
    kind = 'video/mp4; codecs="avc1.640028"'
    if not page.evaluate("kind => document.createElement('video').canPlayType(kind)", kind):
        pytest.skip("this Chromium cannot play H.264; Debian's can")
    yield page
    page.close()


def test_a_browser_plays_written_videos_in_their_colours(page, tmp_path):
    width, height = 361, 239  # odd: the file has one more column and row
    pictures = [np.roll(stripes(width, height), 40 * index, axis=1) for index in range(FRAMES)]
    path = tmp_path / "v.mp4"
    with video_output(path, RATE) as add:
        for picture in pictures:
            add(picture)
    mark_video(path)  # as in drawn videos
    source = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
    indices = [1, 0, 7, FRAMES - 1]
    columns = [int((i + 0.5) * width / len(COLOURS)) for i in range(len(COLOURS))]
    times = [(index + 0.5) / RATE for index in indices]
    *size, duration, frames = page.evaluate(PLAY, [source, times, columns])
    assert size == [362, 240]
    assert duration == pytest.approx(FRAMES / RATE)
    for index, seen in zip(indices, frames, strict=True):
        assert np.allclose(seen, pictures[index][height // 2, columns, ::-1], atol=4)
