"""Scan and fix as programs use them, and as a visitor does, on a film whose sound is 330 ms early."""

import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from interface.accelerator.callback_generator import NAME
from interface.session.session import Session
from synchformer.checkpoints.registry import load_model
from synchformer.media.decode import read_media
from synchformer.media.probe import probe
from synthetic import write_film
from tests.support.browser import SCREENSHOTS, needs_chromium
from tests.support.flash_click import write_flash_click
from tests.support.page import serving

PLANTED = 0.33  # s


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "my film.mp4", 30, lambda _: PLANTED)


@pytest.fixture(scope="module")
def session():
    return Session(load_model("mini", "cpu"), name="mini")


@pytest.fixture(scope="module")
def address(session):
    with serving(session) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def test_scan_streams_and_ends_with_the_timeline(client, session, film):
    parts = list(client.submit(video=handle_file(film), every=3.84, api_name="/scan"))
    assert len(parts) > 3
    assert {frozenset(part) for part in parts} == {frozenset(parts[0])}  # every one is complete in itself
    done = [part["done"] for part in parts]
    assert done == sorted(done)
    assert [part["state"] for part in parts] == ["running"] * (len(parts) - 1) + ["complete"]
    last = parts[-1]
    found = last["result"]
    assert (last["video"], last["windows"]) == ("my film.mp4", 7)
    assert found["video"] == "my film.mp4"
    assert len(found["moments"]) == 7
    assert found["whole"]["offset"] == pytest.approx(PLANTED, abs=0.1)
    assert "early" in found["sentence"]


def test_fix_gives_the_file_and_its_proof(client, session, film):
    parts = list(client.submit(video=handle_file(film), offset=PLANTED, api_name="/fix"))
    assert {part[1]["stage"] for part in parts} == {"writing", "after"}  # a known offset is not measured
    assert [place for place, _ in parts[:-1]] == [None] * (len(parts) - 1)
    place, answer = parts[-1]
    result = answer["result"]
    assert (Path(place).name, result["out"]) == ("my film_fixed.mp4", "my film_fixed.mp4")
    assert result["offset"] == PLANTED
    assert "moved 330 ms later" in result["sentence"]
    assert abs(result["after"]["whole"]["offset"]) < 0.15
    heard, shift = read_media(film).audio.numpy(), round(PLANTED * 16_000)
    moved = read_media(place).audio.numpy()
    part = slice(5 * 16_000, 10 * 16_000)
    assert np.corrcoef(heard[part], moved[part.start + shift : part.stop + shift])[0, 1] > 0.99
    assert (read_media(place, 5, 6).video == read_media(film, 5, 6).video).all()  # nothing is encoded again
    assert not [path for path in Path(session.workspace.folder.name).iterdir() if path.is_dir()]


def test_who_stops_listening_stops_the_work(client, session, film):
    job = client.submit(video=handle_file(film), api_name="/scan")
    next(iter(job))
    job.cancel()
    end = time.monotonic() + 150  # one step, on a busy machine
    while [thread for thread in threading.enumerate() if thread.name == NAME]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not session.workspace._accelerator.locked()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("/scan", {"start": 20.0, "stop": 10.0}, "from 20 s to 10 s is empty"),
        ("/scan", {"start": 8.0}, r"has no 4\.8 s of picture"),
        ("/scan", {"every": 0.0}, "minimum"),
        ("/scan", {"reach": 99.0}, "maximum"),
        ("/fix", {"reach": 0.0}, "nothing was written: cannot tell"),
        ("/fix", {"offset": 99.0}, "maximum"),
        ("/fix", {"model": "/etc/passwd"}, "not in the list of choices"),
    ],
)
def test_refusals_are_sentences(client, tmp_path_factory, name, values, message):
    dark = tmp_path_factory.getbasetemp() / "dark.mp4"
    if not dark.exists():
        write_flash_click(dark, seconds=6, event=3)
    with pytest.raises(AppError, match=message) as caught:
        client.predict(video=handle_file(dark), api_name=name, **values)
    assert not re.search(r"Traceback|/tmp", str(caught.value))


@pytest.mark.browser
@needs_chromium
def test_a_visitor_scans_looks_fixes_and_downloads(browser, address, film):
    page = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True).new_page()
    page.set_default_timeout(120_000)  # a busy machine is slow, not wrong
    failures = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(address)
    page.get_by_role("tab", name="Whole film").click()
    page.set_input_files("#film-file input[type=file]", str(film))
    page.wait_for_function("document.querySelector('#film-words').innerText.includes('press Scan')")
    page.fill("#film-every input", "3.84")
    page.click("#film-scan")
    page.wait_for_function("document.querySelector('#film-words').innerText.includes('of 7 windows')")
    page.wait_for_selector("#film-card [data-kind=constant]")
    said = page.inner_text("#film-card .sentence")
    assert re.search(r"The sound is (2[3-9]|3\d|4[0-3])\d ms early throughout", said), said
    page.wait_for_function("document.querySelector('#film-figure .js-plotly-plot')?.data.length === 4")
    shown = page.evaluate(
        "document.querySelector('#film-figure .js-plotly-plot').data.map((t) => [t.name, t.x.length])"
    )
    assert sum(count for name, count in shown if name in ("sure", "less sure")) == 7
    assert [name for name, _ in shown][2:] == ["interval", "constant"]
    with page.expect_download() as saved:
        page.click("#film-csv")
    assert len(saved.value.path().read_text().splitlines()) == 1 + 7
    page.check("#film-force input")  # half a minute may be too little evidence
    page.click("#film-fix")
    page.wait_for_selector("#film-card .numbers")
    rows = page.locator("#film-card .numbers tr").all_inner_texts()
    assert rows[0].split() == ["before", "after"]
    assert page.locator("#film-figure figure").count() == 2
    page.screenshot(path=SCREENSHOTS / "film.png", full_page=True)
    with page.expect_download() as saved:
        page.click("#film-copy")
    assert saved.value.suggested_filename == "my film_fixed.mp4"
    assert probe(saved.value.path()).seconds > 29
    assert not failures
