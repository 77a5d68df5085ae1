"""Whole films without a browser: work in steps, the figure, the words, what strangers may ask; the download button."""

import json
import threading
import time
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from interface.accelerator.callback_generator import NAME, stepwise
from interface.session import film_jobs, model_registry
from interface.session.errors import PageError
from interface.session.film_jobs import (
    FilmJob,
    FixOptions,
    ScanOptions,
    Step,
    fixed_name,
    own_folder,
    read_fix_options,
    read_scan_options,
    run_fix,
)  # fmt: skip
from interface.session.model_registry import Models
from interface.session.session import Session
from interface.tabs import synchronizability
from interface.tabs.film import FilmTab, _ask_scan, _fix, _path, _scan
from interface.tabs.synchronizability import DownloadRow
from interface.views.film_card import repair_card, scan_card, time_left
from interface.views.film_figure import film_figure, ticks
from synchformer.checkpoints import download
from synchformer.checkpoints.registry import CHECKPOINTS
from synchformer.modeling.synchformer import Synchformer
from synchformer.offsets import Repair, Timeline
from synchformer.offsets.repair import Correction
from synchformer.offsets.timeline import Drift, Moment, Piece
from tests.support.file_server import Behavior, serving
from tests.support.flash_click import write_flash_click
from tests.support.page import TINY as SIZES
from tests.support.published import TINY, known_as, published_state, save_with_settings, source_of, tiny_model

# Names in the place of components: handlers answer by them.
TAB = FilmTab(**{each.name: each.name for each in fields(FilmTab)})
ROW = DownloadRow(**{each.name: each.name for each in fields(DownloadRow)})


def alive():
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_work_in_steps_gives_what_it_tells_and_its_result():
    def work(tell):
        for number in range(3):
            tell("at", number)
        return "done"

    steps = stepwise(work)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            assert end.value == "done"
            break
    assert seen == [("at", 0), ("at", 1), ("at", 2)]
    assert not alive()


def test_work_stands_still_between_steps_and_ends_when_it_is_left():
    reached, tidied = [], []

    def work(tell):
        try:
            for number in range(100):
                reached.append(number)
                tell(number)
        except Exception:  # what hides errors must not hold the work up
            reached.append("hidden")
        finally:
            tidied.append(True)

    with closing(stepwise(work)) as steps:
        next(steps)
        next(steps)
        time.sleep(0.05)
        assert reached == [0, 1]
    assert reached == [0, 1]
    assert tidied == [True]
    assert not alive()


def test_errors_of_the_work_come_out():
    with pytest.raises(KeyError, match="lost"):
        list(stepwise(lambda tell: {}["lost"]))


def moment(start, offset, confidence=0.9, width=0.1, matched=None):
    return Moment(start, start + 4.8, offset, (offset - width / 2, offset + width / 2), confidence, matched)


def timeline(kind, moments, pieces=(), slope=0.0, name="a<b>.mp4"):
    whole_film = Piece(moments[0].start, moments[-1].stop, moments[0].offset, moments[0].interval)
    chances = dict.fromkeys(("constant", "drift", "jumps"), 0.02) | {kind: 0.96}
    first, last = moments[0].offset, moments[-1].offset
    per_minute = (slope - 20, slope + 20)
    return Timeline(
        path=Path(name), model="mini", seconds=60.0, moments=tuple(moments), kind=kind, probability=chances,
        whole=whole_film, drift=Drift(first, last, slope, per_minute, (-0.1, 0.1)), pieces=tuple(pieces), level=0.9,
        calibrated=True, calibration_note="measured <here>", took=2.0, notes=("a note",),
    )  # fmt: skip


def jumping():
    moments = [moment(0, 0.5), moment(10, 0.5, 0.2), moment(30, -0.7), moment(50, -0.7, width=3.0)]
    pieces = [Piece(0, 22.4, 0.5, (0.4, 0.6)), Piece(22.4, 54.8, -0.7, (-0.8, -0.6))]
    return timeline("jumps", moments, pieces)


def test_the_figure_of_jumps():
    found = jumping()
    drawn = {trace["name"]: trace for trace in film_figure(found.moments, (0.0, 60.0), found)["data"]}
    assert (drawn["sure"]["y"], drawn["less sure"]["y"]) == ([0.5, -0.7, -0.7], [0.5])
    assert drawn["less sure"]["marker"]["symbol"] == "circle-open"  # told by shape, not by color alone
    assert drawn["sure"]["error_y"]["array"] == pytest.approx([0.05, 0.05, 0.0])  # too wide to draw
    assert drawn["stretches"]["x"] == [0, 22.4, None, 22.4, 54.8]
    assert drawn["stretches"]["y"] == [0.5, 0.5, None, -0.7, -0.7]
    assert "<b>sound 500 ms early</b>" in drawn["sure"]["customdata"][0]
    assert "<b>sound 700 ms late</b>" in drawn["sure"]["customdata"][1]


def test_the_figure_of_a_drift_and_while_it_grows():
    moments = [moment(0, -0.3, matched=0.9), moment(40, 0.3, matched=0.2)]
    drawn = film_figure(moments, (0.0, 60.0), timeline("drift", moments, slope=900))
    by_name = {trace["name"]: trace for trace in drawn["data"]}
    assert (by_name["drift"]["x"], by_name["drift"]["y"]) == ([0, 44.8], [-0.3, 0.3])
    assert by_name["can be matched"]["y"] == [0.9, 0.2]
    assert "yaxis2" in drawn["layout"]
    growing = film_figure(moments[:1], (0.0, 60.0))
    assert growing["layout"]["xaxis"]["range"] == [0.0, 60.0]  # the axis stands still while points come
    assert [trace["name"] for trace in growing["data"]] == ["less sure", "sure", "can be matched"]


@pytest.mark.parametrize(("start", "stop", "count"), [(0, 30, 7), (0, 3600, 7), (100, 160, 7), (0, 7300, 5)])
def test_ticks_are_few_and_inside(start, stop, count):
    places = ticks(start, stop)
    assert len(places) == count
    assert start <= places[0] < places[-1] <= stop


def test_words_of_a_scan_are_escaped():
    words = scan_card(jumping(), stopped=False)
    assert 'data-kind="jumps"' in words
    assert "The offset jumps once: the sound is 500 ms early from 0:00, 700 ms late from 0:22" in words
    assert words.count("✗ ") == 4
    assert "&lt;here&gt;" in words
    assert "<here>" not in words
    assert "Up to 0:55: the offset jumps" in scan_card(jumping(), stopped=True)


@pytest.mark.parametrize("kind", ["drift", "jumps"])
def test_a_guess_is_called_a_guess(kind):
    vague = timeline(kind, [moment(0, 0.5), moment(30, -0.7)], [Piece(0, 54.8, 0.5, (-1.0, 1.0))])
    vague = replace(vague, drift=replace(vague.drift, at_middle_interval=(-1.0, 1.0)))
    assert vague.sentence.startswith("cannot tell: the best guess is that the ")
    assert 'data-state="unsure"' in scan_card(vague, stopped=False)


def test_words_of_a_correction():
    before = timeline("constant", [moment(0, 0.33), moment(10, 0.33)])
    after = timeline("constant", [moment(0, 0.01, width=0.04), moment(10, 0.01)])
    made = Repair(Path("in.mp4"), Path("<i>.mp4"), Correction(0.33), before, after, None, ("a data stream",))
    words = repair_card(made)
    assert "the sound is moved 330 ms later; nothing is encoded again" in words
    assert "330 ms early (+280 to +380 ms)" in words
    assert "10 ms early (−10 to +30 ms)" in words
    assert words.index("✗ outside") < words.index("✓ within")
    assert "Not kept: a data stream." in words
    assert "<i>" not in words


def test_time_left():
    assert time_left(0.25, 10) == "30 s left"
    assert time_left(0.01, 60) == "99 min left"
    assert "not known" in time_left(0, 3)


@pytest.mark.parametrize("values", [
    (0, 2, 0, None), (1.92, 99, 0, None), (1.92, 2, -1, None), (1.92, 2, 10, 5), (None, 2, 0, None), ("1", 2, 0, None),
])  # fmt: skip
def test_parts_that_are_none(values):
    with pytest.raises(PageError):
        read_scan_options(*values)


def test_corrections_from_outside():
    assert read_fix_options(None, False, 1, 2) == FixOptions(None, False, True, 2.0)
    with pytest.raises(PageError, match="offset must be from -60 to 60 s, not 61 s"):
        read_fix_options(61, False, False, 2)
    assert read_scan_options(1.92, 2, None, None) == ScanOptions()


@pytest.mark.parametrize(("name", "fixed"), [("a.mov", "a_fixed.mov"), ("b.c.AVI", "b.c_fixed.mkv")])
def test_names_of_copies(name, fixed):
    assert fixed_name(Path("/x") / name) == fixed


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("film") / "clip.mp4", seconds=10, event=5.0, noise=0.01)


@pytest.fixture(scope="module")
def shared():
    torch.manual_seed(0)
    session = Session(Synchformer(SIZES).eval(), name="tiny")
    return SimpleNamespace(models=Models(session), result="result")


def test_a_scan_leaves_the_accelerator_to_others_between_steps(shared, clip):
    session = shared.models.first
    asked = film_jobs.new_survey(session, clip, ScanOptions())
    with closing(film_jobs.run_scan(session, asked)) as steps:
        for step in steps:
            assert isinstance(step, Step)
            assert not session.workspace._accelerator.locked()
    assert len(asked.moments) == asked.windows == 3
    assert not alive()


def test_the_page_scans(shared, clip):
    opened = shared.models.first.open(clip)
    job = _ask_scan(shared, TAB, None, None, opened.key, "tiny", 1.92, 0.0, 0.0, 0.0, False)["job"]
    assert job.path == clip
    answers = list(_scan(shared, TAB, job))
    figure = json.loads(answers[-1]["figure"])
    assert "clip.mp4" in figure[0]["title"]
    assert "3 of 3 windows" in answers[-1]["words"]
    assert job.timeline is not None
    assert not list(Path(shared.models.workspace.folder.name).iterdir())  # the table was handed out and removed
    job = FilmJob(clip, "tiny", ScanOptions(stop=7.0))
    list(_scan(shared, TAB, job))
    assert job.timeline is None  # a part proves nothing for the whole


def test_stop_before_anything_was_measured(shared, clip):
    job = FilmJob(clip, "tiny")
    job.stop.set()
    assert "Stopped before the first windows" in list(_scan(shared, TAB, job))[-1]["words"]
    job.fix = FixOptions(offset=0.4)
    answers = list(_fix(shared, TAB, job))
    assert "Stopped; nothing was written" in answers[-1]["words"]
    assert not list(Path(shared.models.workspace.folder.name).iterdir())
    assert not alive()


def test_no_film():
    with pytest.raises(PageError, match="Drop a film here"):
        _path(None, None, None, None)


def test_a_refusal_is_a_sentence(shared, clip):
    with own_folder(shared.models.workspace) as folder, pytest.raises(PageError, match="nothing was written: "):
        list(run_fix(shared.models.first, clip, folder / "a.mp4", FixOptions(reach=0.0)))
    words = list(_fix(shared, TAB, FilmJob(clip, "tiny", fix=FixOptions(reach=0.0))))[-1]["words"]
    assert "Nothing was written: " in words
    assert "tick “Write on weak evidence too”" in words
    with own_folder(shared.models.workspace) as folder, pytest.raises(PageError, match="cannot hold"):
        webm = folder / "a.webm"
        list(run_fix(shared.models.first, clip, webm, FixOptions(offset=0.4)))


# The weights that tell synchronizability


@pytest.fixture
def fetching(tmp_path, monkeypatch, clip):
    """Models of a session whose synchronizability is told by weights that a slow server has; and the server."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0.005)
    monkeypatch.setattr(download, "CHUNK", 1 << 12)
    monkeypatch.setattr(model_registry, "POLL_SECONDS", 0.02)
    config = TINY.with_head("synchronizability")
    monkeypatch.setattr(model_registry, "SYNCHRONIZABILITY_MODELS", (("synchronizability", config),))
    path = save_with_settings(tmp_path / "a.pt", "stage II", published_state(tiny_model(config=config)))
    content = path.read_bytes()
    behavior = Behavior(data=content, block=1 << 14, pause=0.03)
    with serving(behavior) as url:
        known_as(monkeypatch, "synchronizability", config, source_of(url, content))
        session = Session(tiny_model(), name="tiny")
        yield SimpleNamespace(models=Models(session, device="cpu"), result="result"), session.open(clip), behavior


def test_the_download_is_offered_shown_and_used(fetching):
    page, opened, behavior = fetching
    place = (opened.key, "tiny", opened.start, 0.0)
    changes = synchronizability._predict(page, ROW, *place)
    assert "not downloaded" in json.loads(changes["result"])["sync"]["error"]
    assert changes["row"]["visible"] is True
    assert changes["fetch"]["value"] == f"Download synchronizability ({CHECKPOINTS['synchronizability'].size})"
    assert behavior.asked == []  # nothing is fetched unasked
    steps = list(synchronizability._fetch(page, ROW, *place))
    words = [each["words"] for each in steps[:-1]]
    assert any("Downloading synchronizability: " in each and "MB so far" in each for each in words)
    assert 0 <= json.loads(steps[-1]["result"])["sync"]["probability"] <= 1
    assert (steps[-1]["row"]["visible"], steps[-1]["words"]) == (False, "")
    list(synchronizability._fetch(page, ROW, *place))
    assert behavior.asked == [None]  # once


def test_a_download_that_fails_is_a_sentence_and_can_be_tried_again(fetching):
    page, opened, behavior = fetching
    behavior.status = [404] * 10
    changes = list(synchronizability._fetch(page, ROW, opened.key, "tiny", opened.start, 0.0))[-1]
    assert 'role="alert"' in changes["words"]
    assert changes["fetch"]["interactive"] is True


def test_nothing_is_offered_where_nothing_is_missing(shared, clip, monkeypatch):
    monkeypatch.setattr(model_registry, "SYNCHRONIZABILITY_MODELS", ())
    opened = shared.models.first.open(clip)
    changes = synchronizability._predict(shared, ROW, opened.key, "tiny", opened.start, 0.0)
    assert "no weights for that are here" in json.loads(changes["result"])["sync"]["error"]
    assert changes["row"]["visible"] is False
