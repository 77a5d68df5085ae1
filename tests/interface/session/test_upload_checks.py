"""What visitors bring: files that are something else, and crops that prove nothing."""

import http.server
import threading
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from interface.session import limits, upload_checks
from interface.session.upload_checks import check_file, notes_on_clip, notes_on_file
from synchformer.config import MINI
from synchformer.copies.remux import write_shifted
from synchformer.inference.crop_checks import is_silent, is_still, lacks
from synchformer.media.crop import load_clip
from synchformer.media.probe import MediaError, probe
from tests.support.media import MediaSpec, two_hours, write


@pytest.fixture
def host():
    """A server that counts who asks it."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n"
LIST = "ffconcat version 1.0\nfile {target}\n"
SESSION = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
MANIFEST = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    '<Representation id="1"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a.ts", "a.mpd", "a.sdp"])
@pytest.mark.parametrize("text", [PLAYLIST, LIST, SESSION, MANIFEST], ids=["hls", "concat", "sdp", "dash"])
def test_a_list_of_other_files_is_not_followed(tmp_path, host, name, text):
    address, asked = host
    write(tmp_path / "real.mp4", MediaSpec(seconds=0.4, click=None))
    for target in (f"{address}/x.ts", "real.mp4"):
        (tmp_path / name).write_text(text.format(target=target))
        with pytest.raises(MediaError, match=name.replace(".", r"\.")):
            check_file(tmp_path / name, MINI)
    assert asked == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"#!/bin/sh\necho\n", "not a media file|no video file"), (b"\x7fELF" + bytes(4000), "not a media file|no video"),
     (b"", "empty"), (b"<html><script>alert(1)</script></html>", "not a media file|no video")],
    ids=["script", "program", "empty", "page"],
)  # fmt: skip
def test_a_file_that_lies_about_its_type(tmp_path, content, message):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message):
        check_file(path, MINI)


def test_a_picture_and_a_song_under_a_video_name(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match="still picture"):
        check_file(tmp_path / "a.mp4", MINI)
    write(tmp_path / "song.flac", MediaSpec(video=None, audio="flac")).rename(tmp_path / "song.mp4")
    with pytest.raises(MediaError, match=r"song\.mp4 has no video stream"):
        check_file(tmp_path / "song.mp4", MINI)


def test_a_video_under_another_name_is_taken(tmp_path):
    path = write(tmp_path / "a.mkv", MediaSpec(seconds=6)).rename(tmp_path / "a.avi")
    assert check_file(path, MINI).format.startswith("matroska")


def test_a_tenth_of_a_second(tmp_path):
    with pytest.raises(MediaError, match=r"too short: its picture lasts 0\.1\d s .* 5\.00 s are needed"):
        check_file(write(tmp_path / "a.mp4", MediaSpec(seconds=0.12, click=None)), MINI)


def test_too_large_in_bytes_and_in_pixels(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", MediaSpec(seconds=5.2))
    with pytest.raises(MediaError, match=r"a\.mp4 has .*, and at most 1 kB are taken; cut out the part"):
        check_file(path, MINI, max_bytes=1024)
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError, match=r"64 x 48 pixels.*scale the video down"):
        check_file(path, MINI)


def test_a_silent_track(tmp_path):
    clip = load_clip(write(tmp_path / "a.mp4", MediaSpec(seconds=6, click=None)), 0.0, config=MINI)
    assert is_silent(clip.audio)
    (told,) = lacks(clip)
    assert "Nothing can be heard in these 5 s: the sound is digital silence" in told
    assert not is_silent(torch.full((10,), 2.0**-14))
    assert is_silent(torch.zeros(0))


def test_a_picture_that_never_changes(tmp_path):
    """Encoded coarsely, so that the encoder's own noise is part of it."""
    sample = MediaSpec(seconds=6, color=(90, 140, 30), options={"crf": "35"})
    clip = load_clip(write(tmp_path / "a.mp4", sample), 0.0, config=MINI)
    (told,) = lacks(clip)
    assert "The picture never changes in these 5 s" in told
    assert notes_on_clip(replace(clip, notes=("It is cut off.",))) == ("It is cut off.", told)


def test_a_small_thing_that_moves_is_seen():
    video = torch.full((125, 3, 96, 96), 100, dtype=torch.uint8)
    video += torch.randint(0, 5, video.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert is_still(video)
    video[60:63, :, 40:45, 40:45] = 200
    assert not is_still(video)


def test_an_ordinary_clip_lacks_nothing(tmp_path):
    clip = load_clip(write(tmp_path / "a.mp4", MediaSpec(seconds=6)), 0.0, config=MINI)
    assert notes_on_clip(clip) == ()


def test_a_film_of_two_hours(tmp_path):
    sample = MediaSpec(seconds=60, fps=Fraction(5), rate=8000, click=31.5, size=(48, 64), options={"bf": "0"})
    minute = write(tmp_path / "minute.mkv", replace(sample, audio="pcm_s16le"))
    path = two_hours(tmp_path / "film.mkv", minute)
    begin = time.perf_counter()
    info = check_file(path, MINI)
    assert info.seconds == pytest.approx(7200, abs=1)
    (told,) = notes_on_file(info, MINI)
    assert "lasts 2:00:00, of which 5 s are looked at: choose where they start" in told
    clip = load_clip(path, 6030.0, config=MINI)  # 1 h 40 min 30 s: the click of that minute comes 1.5 s later
    click = int((clip.audio.abs() > 0.2).int().argmax()) / 16_000
    assert click == pytest.approx(1.5, abs=0.03)
    part = write_shifted(path, 0.4, tmp_path / "part.mkv", start=6030.0, seconds=60.0)
    assert probe(part).seconds == pytest.approx(60, abs=3)
    assert time.perf_counter() - begin < 30  # a whole film would take far longer to decode


def test_a_short_file_has_no_note(tmp_path):
    assert notes_on_file(probe(write(tmp_path / "a.mp4", MediaSpec())), MINI) == ()


def test_numbers_of_bytes():
    assert [upload_checks._bytes(n) for n in (5, 2048, 3 * 2**20, np.int64(2**30))] == [
        "5 bytes",
        "2 kB",
        "3 MB",
        "1 GB",
    ]
