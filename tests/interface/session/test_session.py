"""The app without a browser: the session, the figures, the endpoint, and what strangers may send."""

import math

import httpx
import numpy as np
import pytest

from interface.session.cache import BoundedCache
from interface.session.consensus import clip_consensus
from interface.session.errors import PageError
from interface.session.examples import find_examples, strip
from interface.session.session import Session
from interface.session.workspace import COPIES_HELD, Upload, Workspace
from interface.tabs.probe import caption
from interface.views.offset_figures import distribution, moved
from interface.views.result_card import answer_view, consensus_view, single_only_view
from synchformer.inference.prediction import Prediction
from synchformer.media.probe import probe
from tests.support.flash_click import flash_and_click, write_flash_click
from tests.support.page import TINY, FlashAndClick, serving
from tests.support.predictions import some_consensus


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("app") / "flash click.mp4", seconds=10, event=5.0)


@pytest.fixture
def session():
    return Session(FlashAndClick(), name="known answer")


@pytest.fixture(scope="module")
def address():
    with serving(Session(FlashAndClick(), name="known answer")) as address:
        yield address


def test_queue_cannot_be_skipped(address):
    reply = httpx.post(f"{address}/gradio_api/run/predict", json={"data": [None, 0, 0]})
    assert reply.status_code >= 400
    assert "Traceback" not in reply.text


def test_strangers_cannot_break_the_live_function(address):
    for data in (None, [], "x", {"key": 3}, {"key": "../../etc/passwd", "start": 0, "offset": 0}):
        reply = component_server(address, "live", data)
        assert reply == {"error": "This clip is no longer kept here; choose the video again."}


@pytest.mark.parametrize("data", [None, [], {"key": 3}, {"offsets": "x"}, {"offsets": [0] * 5000}, {"offsets": [None]},
                                  {"key": "../../etc/passwd", "start": 0, "offsets": [0]}])  # fmt: skip
def test_strangers_cannot_break_asking_ahead(address, data):
    reply = component_server(address, "ahead", data)
    assert list(reply) == ["error"]
    assert reply["error"].endswith(".")


def component_server(address, name, data):
    """What the page's own script is answered."""
    config = httpx.get(f"{address}/config").json()
    result = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "result")
    body = {"session_hash": "s", "component_id": result, "fn_name": name, "data": data}
    reply = httpx.post(f"{address}/gradio_api/component_server", json=body)
    assert reply.status_code == 200
    return reply.json()


def test_asking_ahead_gives_every_answer_of_the_slider(session, clip, monkeypatch):
    """In rounds, for what the file has sound for, and later without any work: the same as one by one."""
    opened = session.open(clip)
    asked = [round(0.04 * step, 2) for step in range(-50, 51)]
    session.predict(opened.key, 1.0, 0.0)
    monkeypatch.setattr("interface.session.session.AHEAD_SECONDS", 1e-9)
    found, left = session.ahead(opened.key, 1.0, asked)
    assert found == [session.answer(opened.key, 1.0, 0.0)]  # which was known before
    assert left == [each for each in asked if each >= -1.0 and each != 0]  # there is no sound before the file begins
    monkeypatch.setattr("interface.session.session.AHEAD_SECONDS", 600.0)
    rest, nothing = session.ahead(opened.key, 1.0, left)
    assert nothing == []
    assert [each.prediction.applied_offset for each in rest] == left
    for each in rest[5::9]:  # the first hear the click after the crop's end
        assert each.prediction.offset == pytest.approx(each.prediction.applied_offset, abs=0.121)
    monkeypatch.setattr(session.model, "encode_audio", None)
    assert session.answer(opened.key, 1.0, 0.52) in rest
    monkeypatch.undo()
    alone = session.predict(session.open(clip).key, 1.0, 0.52)
    assert session.predict(opened.key, 1.0, 0.52).logits == pytest.approx(alone.logits, rel=1e-4, abs=1e-3)


def test_a_model_that_is_too_slow_is_not_asked_ahead(session, clip, monkeypatch):
    opened = session.open(clip)
    session.predict(opened.key, 2.0, 0.0)
    monkeypatch.setattr("interface.session.session.MAX_PARAMETERS_AHEAD", 0)
    assert session.ahead(opened.key, 2.0, [0.04, 0.08]) == ([], [])


def test_answers_are_bounded_whatever_offsets_are_asked_for(session, clip):
    opened = session.open(clip)
    for step in range(40):
        session.predict(opened.key, 2.0, 0.001 * step)
    (kept,) = session.workspace.features._values.values()
    assert sorted(kept.answers) == [0]
    assert len(kept.sounds.segments) == TINY.segments


def test_a_forgotten_clip_leaves_nothing(session, clip):
    opened, other = session.open(clip), session.open(clip)
    for each in (opened, other):
        session.predict(each.key, 2.0, 0.0)
    size = session.workspace.features.size
    copy = session.shifted(opened.key, 2.0, 0.4)
    session.workspace.forget(opened.key)
    assert not copy.exists()
    assert session.workspace.features.size == size // 2
    session.workspace.forget(other.key)
    assert session.workspace.features.size == 0
    with pytest.raises(PageError, match="choose the video again"):
        session.predict(opened.key, 2.0, 0.0)


def test_no_file_of_the_server_is_served(address):
    for path in ("/etc/passwd", "app.py", "../../etc/passwd"):
        assert httpx.get(f"{address}/gradio_api/file={path}").status_code in (403, 404)


def test_the_page_names_no_outside_host(address):
    page = httpx.get(address).text
    hosts = {part.split("/")[0] for part in page.split("https://")[1:]}
    loaded = {host for host in hosts if f'src="https://{host}' in page or f'href="https://{host}' in page}
    assert not {host for host in loaded if "fonts" in host}


def test_view_follows_the_offset_and_encodes_the_picture_once(session, clip):
    opened = session.open(clip)
    assert opened.start == pytest.approx(2.5, abs=0.05)
    for offset in (0.0, 0.4, -0.52, 0.4):
        found = session.predict(opened.key, 2.0, offset)
        assert found.offset == pytest.approx(offset, abs=0.121)
        assert found.applied_offset == offset
    assert session.model.videos_encoded == 1
    session.predict(opened.key, 1.0, 0.0)
    assert session.model.videos_encoded == 2


def test_features_are_forgotten_when_memory_is_short(clip):
    session = Session(FlashAndClick(), workspace=Workspace(cache_bytes=1))
    opened = session.open(clip)
    for _ in range(2):
        session.predict(opened.key, 2.0, 0.0)
    assert session.model.videos_encoded == 2


def test_shifted_copy_is_the_clip_with_moved_sound(session, clip):
    opened = session.open(clip)
    before, after = flash_and_click(clip), flash_and_click(session.shifted(opened.key, 2.0, 0.52))
    assert (after[1] - after[0]) - (before[1] - before[0]) == pytest.approx(-0.52, abs=1e-3)
    assert session.shifted(opened.key, 1.0, 0.52) == session.shifted(opened.key, 2.0, 0.52)  # one copy of a short clip


def test_copies_do_not_pile_up(session, clip):
    opened = session.open(clip)
    copies = [session.shifted(opened.key, 2.0, step * 0.04) for step in range(COPIES_HELD + 6)]
    assert sum(copy.exists() for copy in copies) == COPIES_HELD
    assert all(opened.name not in copy.name for copy in copies)  # nothing of the visitor's in our paths


@pytest.mark.parametrize("value", [math.nan, math.inf, "0", None, True, [0]])
def test_numbers_from_the_browser_are_checked(session, clip, value):
    opened = session.open(clip)
    with pytest.raises(PageError, match="must be a number of seconds"):
        session.predict(opened.key, 2.0, value)


def test_a_clip_that_went_away(session, clip, tmp_path):
    gone = tmp_path / "gone.mp4"
    gone.write_bytes(clip.read_bytes())
    opened = session.open(gone)
    gone.unlink()
    with pytest.raises(PageError, match="choose the video again"):
        session.predict(opened.key, 2.0, 0.0)


def test_the_unforeseen_is_one_sentence_without_details(session, clip, monkeypatch, caplog):
    opened = session.open(clip)
    monkeypatch.setattr(session.model, "encode_video", lambda frames: 1 / 0)
    with pytest.raises(PageError, match="Something unforeseen") as caught:
        session.predict(opened.key, 2.0, 0.0)
    assert "ZeroDivisionError" not in str(caught.value)
    assert "ZeroDivisionError" in caplog.text  # the log has it in full


def test_names_are_escaped(clip):
    bad = Upload("k", clip, "<img src=x onerror=alert(1)>.mp4", 10.0, 0.0, 5.0, 2.5, "<b>", probe(clip))
    assert "<img" not in caption(bad)
    assert "<b>" not in caption(bad)


def test_example_strip(clip):
    found = find_examples(clip.parent)
    html = strip(found)
    assert [path.name for path in found] == [clip.name]
    assert html.count("<button") == 1
    assert "data:image/webp;base64," in html
    assert "http" not in html
    assert strip(find_examples(clip.parent / "nowhere")) == ""


def test_bounded_cache_forgets_the_oldest():
    cache = BoundedCache(capacity=3, size_of=len)
    for key in "abc":
        cache.put(key, "x")
    assert cache.get("a") == "x"  # used now, so "b" is the oldest
    cache.put("d", "x")
    assert (cache.get("b"), cache.get("a"), cache.size) == (None, "x", 3)
    assert cache.put("e", "xxxx") == "xxxx"
    assert cache.get("e") is None


def test_figure_marks_the_applied_offset():
    grid = TINY.grid
    shares = np.full(21, 0.02)
    shares[13] = 0.6
    answer = Prediction(grid, tuple(np.log(shares)), tuple(shares), grid[13], 0.6, applied_offset=0.52)
    figure = distribution(grid, answer)
    assert figure["layout"]["shapes"][0]["x0"] == 0.52
    assert figure["data"][0]["selectedpoints"] == [13]
    assert figure["data"][0]["selected"]["marker"]["color"] == "var(--accent)"
    assert figure["data"][0]["customdata"][13] == "sound 0.6 s early"
    assert distribution(grid, None)["data"] == []


def test_what_changes_in_the_figure_is_what_the_whole_figure_would_be():
    grid = TINY.grid
    shares = np.full(21, 0.02)
    shares[4] = 0.6
    answer = Prediction(grid, tuple(np.log(shares)), tuple(shares), grid[4], 0.6, applied_offset=-1.12)
    whole, change = distribution(grid, answer), moved(answer)
    assert change["y"] == whole["data"][0]["y"]
    assert [change["best"]] == whole["data"][0]["selectedpoints"]
    assert change["line"] == whole["layout"]["shapes"][0]["x0"] == whole["layout"]["shapes"][0]["x1"]
    assert change["label"] == whole["layout"]["annotations"][-1]


def test_the_answer_is_tested_with_what_is_known_from_the_slider(session, clip, monkeypatch):
    """Places that the page asked for are not asked again; the other starts are measured once."""
    opened = session.open(clip)
    session.ahead(opened.key, 2.0, [round(0.04 * step, 2) for step in range(-50, 51)])
    found = clip_consensus(session, opened.key, 2.0)
    assert found.stated
    assert abs(found.offset) <= 0.1
    assert found.starts >= 2
    monkeypatch.setattr(session.model, "encode_audio", None)
    assert clip_consensus(session, opened.key, 2.0) == found


def test_strangers_cannot_break_the_test_of_an_answer(address):
    for data in (None, [], {"key": 3}, {"key": "../../etc/passwd", "start": 0}):
        assert component_server(address, "tested", data)["error"].endswith(".")


def test_the_card_of_a_tested_answer_says_what_was_tested():
    view = consensus_view(some_consensus(stated=False), key="k", start=0.0, model="mini")
    assert view["stated"] is False
    assert view["sentence"] == "Cannot tell"
    assert view["detail"].startswith("The answer followed the sound in 70 of 81 places")
    assert single_only_view(key="k", start=0.0, model="audioset")["stated"] is None


def test_what_an_embedded_model_has_seen_stands_beside_its_answer(session, clip):
    opened = session.open(clip)
    answer = session.answer(opened.key, 2.0, 0.0)
    assert "generated clips" in answer_view(answer, key="k", start=2.0, model="mini", device="cpu")["seen"]
