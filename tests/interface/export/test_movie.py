"""The movie: the right frames, the sound as it was heard, a cursor that keeps time, and nothing left when canceled."""

from dataclasses import replace

import av
import numpy as np
import pytest

from attribution import Settings
from attribution.figures.figure_data import Line, make_figure_data
from interface.export.movie import PANE_HEIGHT, WIDTH, make_board, write_movie
from interface.export.mp4 import write_mp4
from synchformer.config import MINI
from synchformer.media.crop import load_clip
from synchformer.media.probe import MediaError
from tests.support.attributions import found_in
from tests.support.flash_click import flash_and_click, write_flash_click

EVENT, START, OFFSET = 5.0, 2.0, 0.4


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = write_flash_click(tmp_path_factory.mktemp("movie") / "a.mp4", seconds=10, event=EVENT)
    return load_clip(path, START, OFFSET, config=MINI)


@pytest.fixture(scope="module")
def movie(clip, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "movie.mp4"
    shares = list(write_movie(clip, found_in(clip), out))
    assert shares == pytest.approx([count / 125 for count in range(1, 126)])
    return out


def pictures(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_what_is_seen_and_heard_is_the_crop(movie):
    frames = pictures(movie)
    assert frames.shape[0] == 125
    assert frames.shape[2] == WIDTH
    pane = frames[:, :PANE_HEIGHT].mean((1, 2, 3))
    assert pane.argmax() / 25 == pytest.approx(EVENT - START)
    _, click = flash_and_click(movie)
    assert click == pytest.approx(EVENT - START - OFFSET, abs=2e-3)  # to the sample, but for the encoder
    with av.open(str(movie)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
        assert container.streams.audio[0].rate == 48_000
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_the_cursor_keeps_time(movie, clip):
    """The only thing that changes below the clip is the cursor: its column grows by the same amount every frame."""
    frames = pictures(movie)[:, PANE_HEIGHT:].astype(int)
    board = make_board(make_figure_data(clip, found_in(clip)), "dark")
    rows = slice(board.top + 10, board.bottom - 10)
    still = np.median(frames[::5, rows], axis=0)
    for index in (5, 60, 120):
        change = np.abs(frames[index, rows] - still).mean((0, 2))
        wanted = board.left + (board.right - board.left) * (index + 0.5) / 125
        assert change.argmax() + 0.5 == pytest.approx(wanted, abs=1.5)


def test_the_dot_rides_on_the_curve(clip):
    """On a straight line from 0 to 1 the dot rises with time; the cursor stays inside the figure."""
    figure_data = make_figure_data(clip, found_in(clip, Settings(modalities=("audio",))))
    times = np.array(figure_data.lines[0].times)
    rising = times / times.max()
    board = make_board(replace(figure_data, lines=(Line("audio", times, rising, rising, rising, None),)), "light")
    ((columns, rows, color),) = board.dots
    for time in (1.0, 4.0):
        changed = np.abs(board.at(time).astype(int) - color).sum(2) < 6
        middle = round(board.left + (board.right - board.left) * time / 5)
        found = np.flatnonzero(changed[:, middle - 4])
        assert found.mean() == pytest.approx(np.interp(middle, columns, rows), abs=2)
    assert board.at(-1.0).shape == board.at(99.0).shape == board.pixels.shape


def test_closing_stops_and_leaves_nothing(clip, tmp_path):
    work = write_movie(clip, found_in(clip), tmp_path / "movie.mp4")
    assert next(work) == pytest.approx(1 / 125)
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_went_away_is_one_sentence(clip, tmp_path):
    path = tmp_path / "gone.mp4"
    path.write_bytes(clip.path.read_bytes())
    gone = load_clip(path, START, config=MINI)
    path.unlink()
    with pytest.raises(MediaError, match="no file"):
        next(write_movie(gone, found_in(gone), tmp_path / "movie.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_ends_early_and_an_upright_one(tmp_path):
    """The last frame is held and the sound falls silent; an upright picture fits the pane."""
    from tests.support.media import MediaSpec, write

    path = write(tmp_path / "a.mp4", MediaSpec(seconds=4.96, size=(96, 54)))
    clip = load_clip(path, 0.0, config=MINI)
    list(write_movie(clip, found_in(clip), tmp_path / "out.mp4", theme="light"))
    frames = pictures(tmp_path / "out.mp4")
    assert len(frames) == 125
    shown = frames[60, :PANE_HEIGHT].astype(int)
    beside = np.abs(shown - [255, 255, 255]).max((0, 2)) < 12
    assert beside[:300].all()
    assert beside[-300:].all()
    assert not beside[440:520].all()


def test_odd_sides_are_refused(tmp_path):
    frames = [np.zeros((31, 32, 3), np.uint8)]
    with pytest.raises(ValueError, match="even, not 31 and 32"):
        list(write_mp4(tmp_path / "a.mp4", frames, 25, np.zeros(16_000, np.float32), 16_000))
    assert list(tmp_path.iterdir()) == []
