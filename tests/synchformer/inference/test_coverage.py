"""Parts without picture or sound: which windows they take with them, and what is said about them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from synchformer.inference.coverage import Coverage, Unmeasured, union_seconds
from synchformer.inference.sliding_windows import Plan, read_windows
from synchformer.media.probe import Gap, Media, MediaError, probe
from synchformer.modeling.synchformer import Synchformer
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY

SPAN = TINY.span_frames  # 4.8 s
RATE = TINY.sample_rate


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return probe(write_flash_click(tmp_path_factory.mktemp("coverage") / "a.mp4"))


def media(info, seconds, gaps=(), start=0.0, silent=()):
    """Noise, with digital silence in the parts `silent`."""
    wave = 0.1 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))
    for first, last in silent:
        wave[round((first - start) * RATE) : round((last - start) * RATE)] = 0.0
    return Media(info, start, torch.zeros(0, 3, 1, 1, dtype=torch.uint8), wave, 25, RATE, gaps=gaps)


def measured(coverage, frames, hop=25):
    """First frames of the windows that are kept, the others being noted."""
    kept = []
    for frame in range(0, frames - SPAN + 1, hop):
        if coverage.has_evidence(frame, frame):
            kept.append(frame)
        else:
            coverage.leave_out(frame)
    return kept


@pytest.mark.parametrize(("gap", "reason"), [
    (Gap("sound", 20.0, 30.0), "no sound"),
    (Gap("picture", 20.0, 30.0), "no picture"),
])  # fmt: skip
def test_windows_that_a_gap_touches_too_much_are_left_out(info, gap, reason):
    coverage = Coverage(TINY, 0)
    coverage.add(media(info, 60, (gap,)), 0, 1500)
    kept = measured(coverage, 1500)
    # A fifth of 4.8 s may be missing: windows end at most 0.96 s behind 20 s, or begin as much before 30 s.
    assert all(frame + SPAN <= 500 + 24 or frame >= 750 - 24 for frame in kept)
    assert {frame for frame in range(0, 1381, 25) if frame + SPAN <= 500 or frame >= 750} <= set(kept)
    assert coverage.unmeasured == (Unmeasured(20.0, 30.0, reason),)
    assert coverage.unmeasured[0].sentence == f"not measured from 20.0 s to 30.0 s: {reason}"


def test_chunks_make_no_difference(info):
    gap, parts = Gap("sound", 3.0, 31.0), []
    for chunk in (1500, 320, 8):
        coverage = Coverage(TINY, 0)
        whole = media(info, 60, (), silent=[(40.0, 50.0)])
        for first in range(0, 1500, chunk):
            last = min(1500, first + chunk)
            own = Gap("sound", max(gap.start, first / 25), min(gap.stop, last / 25))
            gaps = (own,) if own.stop > own.start else ()
            sound = whole.audio[first * 640 : (last + 16) * 640]
            coverage.add(Media(info, first / 25, whole.video, sound, 25, RATE, gaps=gaps), first, last)
        parts.append((measured(coverage, 1500), coverage.unmeasured))
    assert parts[0] == parts[1] == parts[2]
    assert [part.start for part in parts[0][1]] == [3.0, 40.0]


def test_digital_silence_counts_when_a_whole_window_is_silent(info):
    coverage = Coverage(TINY, 0)
    coverage.add(media(info, 60, silent=[(10.0, 14.0), (30.0, 40.0)]), 0, 1500)
    kept = measured(coverage, 1500)
    assert set(range(0, 1381, 25)) - set(kept) == {frame for frame in range(0, 1381, 25) if 750 <= frame <= 1000 - SPAN}
    assert coverage.unmeasured == (Unmeasured(30.0, 40.0, "no sound"),)


def test_short_dropouts_cost_nothing(info):
    coverage = Coverage(TINY, 0)
    coverage.add(media(info, 60, tuple(Gap("sound", t, t + 0.4) for t in (10.0, 30.0))), 0, 1500)
    assert len(measured(coverage, 1500)) == 56
    assert coverage.unmeasured == ()


def test_overlapping_parts_count_once():
    parts = (Unmeasured(0.0, 10.0, "no sound"), Unmeasured(5.0, 12.0, "no picture"), Unmeasured(20.0, 21.0, "no sound"))
    assert union_seconds(parts) == pytest.approx(13.0)


def test_a_part_that_cannot_be_decoded_is_passed_over(tmp_path, monkeypatch):
    """Windows go on behind it; where nothing at all can be decoded, that is the answer."""
    from synchformer.media.decode import OpenMedia

    path = write_flash_click(tmp_path / "a.mp4", seconds=20, event=5.0, noise=0.01)
    torch.manual_seed(0)
    model, read, broken = Synchformer(TINY).eval(), OpenMedia.read_for_model, {8}

    def failing(self, config, start=None, stop=None):
        if round(start / 1.28) in broken:
            raise MediaError("a.mp4 is damaged: no sound can be decoded from 10.24 s on")
        return read(self, config, start, stop)

    monkeypatch.setattr(OpenMedia, "read_for_model", failing)
    notes, coverage, plan = [], Coverage(TINY, 0), Plan(hop=16, shifts=(0,), chunk=4)
    windows = list(read_windows(model, path, plan, notes=notes, coverage=coverage))
    assert [part.reason for part in coverage.unmeasured] == ["cannot be decoded"]
    assert (coverage.unmeasured[0].start, coverage.unmeasured[0].stop) == pytest.approx((10.24, 11.52))
    assert any("that part was passed over" in note for note in notes)
    assert {window.stop <= 11.0 or window.start >= 11.5 for window in windows} == {True}
    assert max(window.stop for window in windows) > 19
    broken.update(range(20))
    with pytest.raises(MediaError, match=r"no sound can be decoded from 10\.24 s on"):
        list(read_windows(model, path, plan))


def test_a_file_whose_sound_pauses(tmp_path):
    """Packets are left out and the times go on, as in a call that was muted."""
    import av

    source, path = write_flash_click(tmp_path / "a.mp4", seconds=30, event=5.0, noise=0.01), tmp_path / "b.mkv"
    with av.open(str(source)) as inp, av.open(str(path), "w") as out:
        copies = {stream.index: out.add_stream_from_template(stream) for stream in inp.streams}
        for packet in inp.demux():
            time = None if packet.pts is None else float(packet.pts * packet.time_base)
            if packet.dts is None or (packet.stream.type == "audio" and 10 <= time < 20):
                continue
            packet.stream = copies[packet.stream.index]
            out.mux(packet)
    torch.manual_seed(0)
    model, coverage = Synchformer(TINY).eval(), Coverage(TINY, 0)
    windows = list(read_windows(model, Path(path), Plan(hop=24, shifts=(-16, 0, 16)), coverage=coverage))
    (part,) = coverage.unmeasured
    assert (part.start, part.stop) == pytest.approx((10.0, 20.0), abs=0.15)
    assert part.reason == "no sound"
    starts = np.array([window.start for window in windows])
    assert starts.min() == 0
    assert starts.max() > 24
    assert not np.any((starts > 10 - 3.8) & (starts < 19))
    assert all(0.0 in window.shifts for window in windows)
