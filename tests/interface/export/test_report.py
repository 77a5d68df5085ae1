"""The report: everything that was found is in one file, which asks nothing of anybody."""

import base64
import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from attribution import Settings
from attribution.estimation.estimators import Tally
from attribution.strongest_moments import strongest_moments
from interface.export.report import Findings, attribution_csv, make_report, moment_picture, write_report
from interface.views.svg_charts import as_svg, distribution_chart, residual, sweep_chart
from interface.views.sweep_table import sweep_csv
from synchformer.config import MINI
from synchformer.inference.prediction import Synchronizability
from synchformer.media.crop import load_clip
from tests.support.attributions import found_in
from tests.support.browser import needs_chromium
from tests.support.flash_click import write_flash_click
from tests.support.predictions import some_consensus, some_prediction

EVENT, START, OFFSET = 5.0, 2.0, 0.4
NAME = '<img src=x onerror=alert(1)> & "a"</script>.mp4'
GRID = MINI.grid


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = write_flash_click(tmp_path_factory.mktemp("report") / "a.mp4", seconds=10, event=EVENT)
    return load_clip(path, START, OFFSET, config=MINI)


@pytest.fixture(scope="module")
def found(clip):
    """An attribution in which keeping the flash (3.0 s) and the click (2.6 s) decides."""
    plain = found_in(clip, Settings(samples=400, seed=11))
    curves = []
    for curve, moment in zip(plain.curves, (2.65, 3.05), strict=True):
        decisive = int(np.argmin(np.abs(np.array(curve.middles) - moment)))
        keep = torch.rand(400, len(curve.units), generator=torch.Generator().manual_seed(1)) < 0.5
        keep[1::2] = ~keep[::2]
        tally = Tally(len(curve.units), pairs=True)
        tally.add(keep, keep[:, decisive], keep[:, decisive].float())
        curves.append(replace(curve, estimates=tally.estimate(), state="complete", left=0))
    return replace(plain, curves=tuple(curves))


@pytest.fixture(scope="module")
def findings(clip, found):
    sweep = tuple(replace(some_prediction(best=i), applied_offset=x) for i, x in enumerate(GRID))
    return Findings(
        NAME, "known answer", clip, some_prediction(applied=OFFSET), found, sweep,
        Synchronizability(0.2, (0.0, 0.0)), some_consensus(), link="http://127.0.0.1/?example=a",
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(findings):
    return make_report(findings, datetime(2024, 1, 2, 3, 4, tzinfo=UTC))


class Reader(HTMLParser):
    """What a browser would load, and the text that a visitor reads."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.words, self.data = [], [], "", ""
        self._in = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        self.addresses += [values[name] for name in ("src", "srcset", "href", "data") if name in values]
        self._in = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in == "script":
            self.data += data
        elif self._in is None:
            self.words += data


def test_it_asks_nothing_of_the_network_and_runs_nothing(report):
    reader = Reader(report)
    assert len(reader.addresses) > 10
    assert all(address.startswith("data:") for address in reader.addresses)
    assert "default-src 'none'" in report
    assert not re.search(r"url\(|@import|<iframe|<link", report)
    scripts = [values for tag, values in reader.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}]
    assert not any(name.startswith("on") for _, values in reader.tags for name in values)


def test_a_foreign_name_is_only_text(report):
    reader = Reader(report)
    assert NAME in reader.words
    assert "onerror" not in {name for _, values in reader.tags for name in values}
    assert json.loads(reader.data)["name"] == NAME


def test_what_was_found_is_said(report, findings):
    words = Reader(report).words.replace("\u00a0", " ")
    assert "The sound is 0.4 s early (58 % sure)" in words
    assert "Picture from 2.00 to 7.00 s of the file with the sound from 2.40 to 7.40 s, by known answer." in words
    assert "This model finds nothing that picture and sound share (80 % sure)" in words
    assert "70 of 81 places support" in words
    assert findings.attribution.sentence[5:] in words
    assert "5.05 s" in words  # the flash on the file's clock: 2.0 + 3.05
    assert "4.65 s" in words  # the click where it is heard
    assert "Seed" in words
    assert "800 in 1.0 s (800 per second), finished" in words
    assert "0.00 s away on average" in words
    assert "2024-01-02 03:04 UTC" in words


def test_nothing_is_stated_without_a_test_that_holds(findings):
    """What somebody forwards says what the page says."""
    assert replace(findings, consensus=None).verdict.startswith("One answer, not tested: the sound is 0.4 s early")
    doubt = some_consensus(stated=False, supported=14, answerable=101)
    assert replace(findings, consensus=doubt).verdict == (
        "Cannot tell: the answer followed the sound in 14 of 101 places; this model does not understand this clip"
    )
    where_it_is = replace(findings.clip, offset=0.0)
    said = "The sound is 0.4 s early (91 % sure to within a class; the answer"
    assert replace(findings, clip=where_it_is).verdict.startswith(said)


def test_all_numbers_are_embedded(report, findings):
    reader = Reader(report)
    data = json.loads(reader.data)
    assert data["consensus"]["supported"] == 70
    assert data["prediction"]["offset"] == findings.prediction.offset
    assert data["sweep"][3]["applied_offset"] == GRID[3]
    assert data["attribution"]["settings"]["seed"] == 11
    assert len(data["attribution"]["curves"][0]["units"]) == len(findings.attribution.curves[0].units)
    assert str(findings.clip.path.parent) not in report  # no place on the server
    downloads = {values["download"]: values["href"] for tag, values in reader.tags if tag == "a"}
    assert all(re.fullmatch(r"[\w-]+\.(json|csv)", name) for name in downloads)
    decoded = [base64.b64decode(address.split(",")[1]).decode() for address in downloads.values()]
    assert json.loads(decoded[0]) == data
    assert decoded[1] == attribution_csv(findings.attribution)


def test_the_decisive_moments_come_first(found, clip):
    moments = strongest_moments(found)
    first = {modality: of_stream[0] for modality, of_stream in moments.items()}
    assert first["video"].time == pytest.approx(3.05)
    assert first["audio"].time == pytest.approx(2.65)
    assert first["video"].effect == pytest.approx(1.0)
    assert first["video"].low > 0
    times = [moment.time for moment in moments["video"]]
    assert all(abs(a - b) >= 0.25 for i, a in enumerate(times) for b in times[:i])
    at_flash = replace(first["video"].unit, begin=3.0, end=3.02)
    flash = np.asarray(moment_picture(replace(first["video"], unit=at_flash), clip))
    assert flash.mean() > 200  # the frame itself: the flash fills the picture
    heard = np.asarray(moment_picture(first["audio"], clip))[224:].mean(2)
    assert heard[:, 96:136].mean() > 1.5 * heard[:, :60].mean()


def test_the_pictures_fit_both_themes(report):
    sources = [values for tag, values in Reader(report).tags if tag == "source"]
    assert len(sources) == 3
    assert {values["media"] for values in sources} == {"screen and (prefers-color-scheme: dark)"}
    raster = next(address for address in Reader(report).addresses if address.startswith("data:image/webp"))
    assert Image.open(io.BytesIO(base64.b64decode(raster.split(",")[1]))).size[0] > 1200


def test_without_attribution_and_sweep(findings, tmp_path):
    bare = replace(findings, attribution=None, sweep=(), synchronizability=None)
    text = write_report(bare, tmp_path / "a.html").read_text()
    assert "Which moments prove it?" not in text
    assert "The strongest moments" not in text
    assert json.loads(Reader(text).data)["attribution"] is None


def test_what_the_crop_lacks_comes_before_the_answer(findings, clip):
    silent = replace(findings, clip=replace(clip, audio=torch.zeros(80_000)), attribution=None)
    words = Reader(make_report(silent)).words
    assert "Cannot tell: nothing can be heard" in words
    assert "digital silence" in words


def test_the_sweep_as_a_table(findings):
    rows = list(csv.DictReader(io.StringIO(sweep_csv(findings.sweep))))
    assert [float(row["applied_offset"]) for row in rows] == list(GRID)
    assert all(float(row["residual"]) == 0 for row in rows)
    assert float(rows[4]["p(-1.2)"]) == pytest.approx(0.58)
    late = [replace(each, applied_offset=each.applied_offset - 0.2) for each in findings.sweep]
    assert residual(late) == pytest.approx(0.2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_are_plain_svg(findings, theme):
    for chart, of in ((distribution_chart, findings.prediction), (sweep_chart, findings.sweep)):
        text = as_svg(chart(of, theme))
        assert text.startswith("<svg")
        assert text == as_svg(chart(of, theme))
    with pytest.raises(ValueError, match="light, dark"):
        distribution_chart(findings.prediction, "pink")


@pytest.mark.browser
@needs_chromium
def test_in_a_browser(browser, report, tmp_path):
    """Opened as a file: nothing is refused by its own rules, nothing is wider than a phone, pictures are shown."""
    (tmp_path / "report.html").write_text(report)
    said, asked = [], []
    for scheme, width in (("light", 1280), ("dark", 390)):
        page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{tmp_path}/report.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        assert page.evaluate("JSON.parse(document.querySelector('#data').textContent).model") == "known answer"
    assert said == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
