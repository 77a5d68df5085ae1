"""Visitors of the real server: several at once, their own checkpoints, their odd files, and tabs that are closed."""

import json
import pickle
import time
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from safetensors.torch import load_file, save_file

from interface.session.session import Session
from synchformer.checkpoints.registry import save_model
from tests.support.flash_click import write_flash_click
from tests.support.media import MediaSpec, two_hours, write
from tests.support.models import tiny
from tests.support.page import FlashAndClick, serving
from tests.support.visitor import PATIENCE, Visitor


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("visitors")
    return [write_flash_click(folder / f"{name}.mp4", seconds=10, event=5.0) for name in ("mine", "yours")]


@pytest.fixture(scope="module")
def address():
    with serving(Session(FlashAndClick(), name="known answer")) as address:
        yield address


@pytest.fixture(scope="module")
def network(clips, tmp_path_factory):
    """A session with a real, untrained network, and its server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        session = Session(tiny(), name="tiny", distractors=(clips[1],))
        with serving(session) as address:
            yield session, address


def test_two_visitors_do_not_see_each_other(address, clips, tmp_path):
    """Two clips, two tabs, turn by turn; one changes the model, which is the other's affair no more."""
    one, other = Visitor(address), Visitor(address)
    one.open(clips[0])
    other.open(clips[1])
    assert "mine.mp4" in one.shown["caption"]
    assert "yours.mp4" in other.shown["caption"]
    keys = [visitor.card["key"] for visitor in (one, other)]
    assert keys[0] != keys[1]
    for offset in (0.4, 0.8):
        one.do("result", "settle", offset=offset)
        other.do("result", "settle", offset=-offset)
        assert [visitor.card["applied"] for visitor in (one, other)] == [offset, -offset]
        assert [visitor.card["key"] for visitor in (one, other)] == keys
    own = save_model(tiny(), tmp_path / "own.safetensors")
    one.do("own-model", "upload", **{"own-model": one.upload(own)})
    one.do("result", "settle")
    other.do("result", "settle")
    assert one.card["model"].startswith("own-own-")
    assert other.card["model"] == "known answer"
    assert other.card["sentence"].startswith("The sound is 0.8 s late")
    stranger = Visitor(address)
    assert "Choose a video first." in stranger.do("attribute", "click")["output"]["error"]


@pytest.mark.parametrize(("name", "event"), [("own-model", "upload"), ("measure", "change"), ("film-stop", "click")])
def test_an_event_about_nothing_changes_nothing(address, name, event):
    """With one output and with many: gradio itself takes an empty answer for a wrong number of values."""
    output = Visitor(address).do(name, event, **{name: None})["output"]
    changes = [value for value in output["data"] if value is not None]  # None: a state that stays
    assert changes
    assert all(value["__type__"] == "update" and set(value) <= {"__type__", "props"} for value in changes)


def test_a_closed_tab_stops_the_attribution(network, clips, monkeypatch):
    session, address = network
    counted, whole = [], session.attribute

    def watched(*arguments, **options):
        for part in whole(*arguments, **options):
            counted.append(part.masks)
            time.sleep(0.05)
            yield part

    monkeypatch.setattr(session, "attribute", watched)
    visitor = Visitor(address)
    visitor.open(clips[0])
    visitor.do("attribute", "click", samples=20_000)
    with visitor.doing("attribute", "click, success") as messages:
        next(message for message in messages if message["msg"] == "process_generating")
    _stands_still(counted)
    assert counted[-1] < 40_000
    again = Visitor(address)  # nobody waits for the one who left
    again.open(clips[0])
    assert again.card["key"]


def _stands_still(counted, patience=30.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = len(counted)
        time.sleep(1.0)
        if len(counted) == before:
            return
    raise AssertionError(f"still at work after {patience} s: {counted[-3:]}")


def test_an_own_checkpoint_answers_with_its_own_weights(network, clips, tmp_path):
    """The same architecture with other weights: another answer, and back again."""
    _, address = network
    other = tiny()
    with torch.no_grad():
        other.synchronizer.head.bias[3] = 40.0  # always the fourth class
    path = save_model(other, tmp_path / "shouts.safetensors")
    visitor = Visitor(address)
    visitor.open(clips[0])
    before = visitor.card["sentence"]
    visitor.do("own-model", "upload", **{"own-model": visitor.upload(path)})
    assert visitor.card["sentence"] == "The sound is 1.4 s late (100 % sure)"
    assert "your own checkpoint" in visitor.shown["model-told"]
    visitor.do("model-name", "input", **{"model-name": "tiny"})
    assert visitor.card["sentence"] == before


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def broken(folder):
    """Files that are no checkpoint, and what the page says of them."""
    good = save_model(tiny(), folder / "good.safetensors")
    cut = folder / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:2000])
    tensors = load_file(good)
    tensors.pop(next(iter(tensors)))
    lacking = folder / "lacking.safetensors"
    save_file(tensors, lacking)
    text = folder / "text.pt"
    text.write_text("no weights")
    evil = folder / "evil.pt"
    torch.save({"model": Evil(folder / "ran")}, evil)
    plain = folder / "plain.pt"
    plain.write_bytes(pickle.dumps(Evil(folder / "ran")))
    return [cut, lacking, text, evil, plain]


def test_a_file_that_is_no_checkpoint_gives_a_sentence_and_runs_nothing(address, clips, tmp_path):
    visitor = Visitor(address)
    visitor.open(clips[0])
    for path in broken(tmp_path):
        visitor.do("own-model", "upload", **{"own-model": visitor.upload(path)})
        error = visitor.card["error"]
        assert path.name in error
        assert not any(word in error for word in ("Traceback", "/tmp", "unforeseen"))
    assert not (tmp_path / "ran").exists()
    visitor.do("result", "settle", offset=0.4)  # the model from before answers on
    assert visitor.card["model"] == "known answer"


def brought(folder):
    """Files that visitors bring, and what is said of them on the page and to programs alike."""
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/x.ts\n")
    yield folder / "list.mp4", "list.mp4 is n"  # "no video file", "not a media file"
    song = write(folder / "song.flac", MediaSpec(seconds=6, video=None, audio="flac"))
    yield song.rename(folder / "song.mp4"), "song.mp4 has no video stream"
    yield write(folder / "short.mp4", MediaSpec(seconds=0.12, click=None)), "too short"
    yield write(folder / "mute.mp4", MediaSpec(seconds=6, audio=None)), "mute.mp4 has no sound"


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False, httpx_kwargs={"timeout": PATIENCE})


def test_files_that_cannot_be_measured(address, client, tmp_path):
    """One look for page and endpoints, so one sentence."""
    for path, words in brought(tmp_path):
        visitor = Visitor(address)
        visitor.open(path)
        sentence = visitor.card["error"]
        assert words in sentence
        with pytest.raises(AppError) as caught:
            client.predict(video=handle_file(path), api_name="/predict")
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("sample", "words"),
    [(MediaSpec(seconds=6, click=None), "Nothing can be heard in these 5 s"),
     (MediaSpec(seconds=6, color=(90, 140, 30)), "The picture never changes in these 5 s")],
    ids=["silent", "still"],
)  # fmt: skip
def test_a_crop_that_proves_nothing_is_told_on_the_card(address, client, tmp_path, sample, words):
    path = write(tmp_path / "a.mp4", sample)
    visitor = Visitor(address)
    visitor.open(path)
    key = visitor.card["key"]
    answer = client.predict(video=handle_file(path), start=0.5, api_name="/predict")
    moved = visitor.live("live", key=key, model="known answer", start=visitor.card["start"], offset=0.2)
    for card in (visitor.card, moved):
        assert card["state"] == "unsure"
        assert card["sentence"].startswith(f"Cannot tell — {words[0].lower()}{words[1:]}")
        assert words in card["detail"]
    assert (answer["stated"], answer["single"]["telling"]) == (False, False)
    assert words in answer["notes"][0]


def test_a_film_of_two_hours_asks_for_its_start(address, tmp_path):
    """The click of every minute is found at a start far into the film; only a part of it is copied for the player."""
    sample = MediaSpec(seconds=60, fps=Fraction(5), rate=8000, click=32.5, options={"bf": "0"}, audio="pcm_s16le")
    film = two_hours(tmp_path / "film.mkv", write(tmp_path / "minute.mkv", sample))
    visitor = Visitor(address)
    visitor.open(film)
    assert "lasts 2:00:00, of which 5 s are looked at: choose where they start" in visitor.shown["caption"]
    visitor.do("result", "restart", start=6030.0)
    assert visitor.card["start"] == 6030.0
    assert "error" not in visitor.card
    played = visitor.shown["player"]
    assert Path(played.get("video", played)["path"]).stat().st_size < film.stat().st_size / 20


def test_the_page_learns_its_slider_ahead(address, clips):
    visitor = Visitor(address)
    visitor.open(clips[0])
    card = visitor.card
    left = [round(0.04 * step, 2) for step in range(-50, 51)]
    rows = []
    while left:
        found = visitor.live("ahead", key=card["key"], model=card["model"], start=card["start"], offsets=left)
        rows += found["rows"]
        left = found["left"]
    assert len(rows) == 101
    for row in rows[::10]:
        alone = visitor.live("live", key=card["key"], model=card["model"], start=card["start"], offset=row["applied"])
        assert alone == row
    assert len(json.dumps(rows)) < 120_000
