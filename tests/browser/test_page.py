"""The page in a real browser: upload, look, drag, fail kindly, and never leave this computer."""

import json
import re
from urllib.parse import urlparse

import pytest

from interface.session.session import Session
from synchformer.copies.remux import write_shifted
from tests.support.browser import SCREENSHOTS, needs_chromium
from tests.support.flash_click import write_flash_click
from tests.support.models import tiny
from tests.support.page import FlashAndClick, serving

ANSWERED = "#result [data-part=card][data-state=telling]"
DRAWN = "#timeline [data-part=plot][data-drawn]"

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("browser") / "flash & click.mp4", seconds=10, event=5.0)


@pytest.fixture(scope="module")
def address(clip):
    with serving(Session(FlashAndClick(), name="known answer"), examples=(clip,)) as address:
        yield address


@pytest.fixture(params=["light", "dark", "phone"])
def look(request):
    return request.param


@pytest.fixture
def open_page(browser, address):
    """Opens the page; whatever it asks of another host fails the test."""
    contexts, outside, failures = [], [], []

    def opened(look="light"):
        size = {"width": 390, "height": 844} if look == "phone" else {"width": 1440, "height": 900}
        context = browser.new_context(viewport=size, color_scheme="dark" if look == "dark" else "light")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(40_000)  # a busy machine is slow, not wrong
        page.on("request", lambda request: outside.append(request.url) if _foreign(request.url) else None)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#result [data-drawn]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not outside
    assert not failures


def _foreign(url):
    parts = urlparse(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost")


def upload(page, path):
    page.set_input_files("#clip input[type=file]", str(path))


def wait_until_still(page, selector):
    """Wait until the element has kept its place for half a second: what is filled in late moves what stands below."""
    places = []
    while len(places) < 6 or len({str(place) for place in places[-6:]}) > 1:
        places.append(page.locator(selector).bounding_box())
        page.wait_for_timeout(100)


def sentence(page):
    return page.locator("#result [data-part=sentence]").inner_text().replace("\u00a0", " ")


def drawn_bars(page):
    """Heights of the bars as plotly holds them."""
    return page.evaluate("Array.from(document.querySelector('#result [data-part=plot]').data[0].y)")


def sound_begins(page):
    """Where the spectrogram begins on the timeline, in seconds."""
    return page.evaluate("document.querySelector('#timeline [data-part=plot]').layout.images[1].x")


def test_upload_shows_the_distribution(open_page, clip, look):
    page = open_page(look)
    upload(page, clip)
    page.wait_for_selector(ANSWERED)
    page.wait_for_function("document.querySelector('#player video')?.readyState >= 2")
    assert sentence(page).startswith("No offset found at this 0.2 s resolution")
    assert len(drawn_bars(page)) == 21
    assert "flash & click" in page.locator("#caption .name").inner_text()
    assert page.locator("[data-part=timing]").inner_text().count(" s ") == 4
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{look}.png", full_page=look == "phone")


def test_the_answer_is_provisional_until_it_was_tested(open_page, clip):
    """Nothing stands in bold before it is known whether the answer follows the sound."""
    page = open_page()
    page.evaluate(
        """() => { window.states = []; new MutationObserver(() => {
        const card = document.querySelector('#result [data-part=card]');
        const words = [card.dataset.state, card.querySelector('[data-part=sentence]').innerText];
        if (words.join() !== window.states.at(-1)?.join()) window.states.push(words);
        }).observe(document.querySelector('#result'), { subtree: true, childList: true, attributes: true }); }"""
    )
    upload(page, clip)
    page.wait_for_selector(ANSWERED)
    states = page.evaluate("window.states.map(([state, words]) => [state, words.replaceAll('\u00a0', ' ')])")
    named = [state for state, _ in states]
    assert named.index("testing") < named.index("telling")
    first = next(words for state, words in states if state == "testing")
    assert first == "Testing whether the answer follows the sound …"
    assert "the answer followed the sound in" in sentence(page)
    assert "not tested" not in page.locator("#result [data-part=detail]").inner_text()


def test_dragging_moves_the_answer_before_the_slider_is_let_go(open_page, clip):
    page = open_page()
    upload(page, clip)
    page.wait_for_selector(ANSWERED)
    page.wait_for_selector(DRAWN)
    page.wait_for_function("document.querySelector('#player video')?.src")
    source, stood = page.locator("#player video").get_attribute("src"), sound_begins(page)
    box = page.locator("#offset input[type=range]").bounding_box()
    middle, right = box["x"] + box["width"] / 2, box["x"] + box["width"] * 0.8
    page.mouse.move(middle, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(right, box["y"] + box["height"] / 2, steps=8)
    page.wait_for_function(r"/1\.[24]\ss early/.test(document.querySelector('[data-part=sentence]').innerText)")
    assert "earlier: heard before" in page.locator("#offset-words").inner_text()
    shown = "document.querySelector('#timeline [data-part=plot]').layout.images[1].x"
    page.wait_for_function(f"Math.abs({shown} - {stood} + 1.2) < 0.09")  # the spectrogram moves under the finger
    assert page.locator("#player video").get_attribute("src") == source  # the clip waits for the release
    page.mouse.up()
    page.wait_for_function(f"document.querySelector('#player video')?.src !== {source!r}")
    page.wait_for_function("document.querySelector('#player video')?.readyState >= 2")
    applied = float(page.locator("#result [data-part=plot]").get_attribute("data-applied"))
    assert applied == pytest.approx(1.2, abs=0.09)  # the pixel decides
    mark = page.evaluate("document.querySelector('#result [data-part=plot]').layout.shapes[0].x0")
    assert mark == applied
    page.screenshot(path=SCREENSHOTS / "dragged.png")


def test_a_slider_whose_answers_are_known_asks_nothing(open_page, clip):
    """And says the same as when the server is asked."""
    page = open_page()
    asked = []
    page.on("request", lambda request: asked.append(request.post_data) if "component_server" in request.url else None)
    upload(page, clip)
    page.wait_for_selector("#result [data-known='101'][data-tested='true']")
    assert all('"ahead"' in each or '"tested"' in each for each in asked)
    asked.clear()
    page.evaluate(
        """() => { const slider = document.querySelector('#offset input[type=range]');
        slider.value = -0.8; slider.dispatchEvent(new Event('input', { bubbles: true })); }"""
    )
    page.wait_for_function(r"/0\.8\ss late/.test(document.querySelector('[data-part=sentence]').innerText)")
    assert not asked
    assert drawn_bars(page).index(max(drawn_bars(page))) == 6
    assert page.evaluate("document.querySelector('#result [data-part=plot]').layout.shapes[0].x0") == -0.8
    assert page.evaluate("document.querySelector('#result [data-part=plot]').data[0].selectedpoints") == [6]


def test_keyboard_and_example(open_page):
    page = open_page()
    page.click("#examples button")
    page.wait_for_selector(ANSWERED)
    page.focus("#offset input[type=range]")
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function(r"/0\.4\ss late/.test(document.querySelector('[data-part=sentence]').innerText)")
    assert "0.4 s later" in page.locator("#offset-words").inner_text()


def test_hover_names_the_offset(open_page, clip):
    page = open_page()
    upload(page, clip)
    page.wait_for_selector(ANSWERED)
    page.wait_for_selector(DRAWN)
    wait_until_still(page, "#result [data-part=plot]")
    place = page.evaluate(
        """() => { const plot = document.querySelector('#result [data-part=plot]'), box = plot.getBoundingClientRect();
        const x = plot._fullLayout.xaxis, y = plot._fullLayout.yaxis;
        return [box.x + x._offset + x.l2p(0), box.y + y._offset + y.l2p(0.1)]; }"""
    )
    page.mouse.move(*place)
    page.wait_for_selector(".hoverlayer .hovertext")
    assert "no offset" in page.locator(".hoverlayer .hovertext").text_content()


def test_a_text_file_gives_a_sentence_in_the_page(open_page, clip, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("this is no video")
    page = open_page()
    upload(page, text)
    page.wait_for_selector("#result [data-part=card][data-state=error]")
    assert "text.mp4" in sentence(page)
    assert not re.search(r"Traceback|Error:|/tmp", page.inner_text("body"))
    page.screenshot(path=SCREENSHOTS / "error.png")
    upload(page, clip)  # the next video is welcome
    page.wait_for_selector(ANSWERED)


def test_an_impossible_offset_gives_a_sentence_and_the_way_back(open_page, clip):
    page = open_page()
    upload(page, clip)
    page.wait_for_selector(ANSWERED)
    page.fill("#start input[type=number]", "0")
    page.keyboard.press("Tab")
    page.fill("#offset input[type=number]", "-1")
    page.keyboard.press("Tab")
    page.wait_for_selector("#result [data-part=card][data-state=error]")
    assert re.search(r"\d", sentence(page))
    page.fill("#offset input[type=number]", "0")
    page.keyboard.press("Tab")
    page.wait_for_selector("#result [data-part=card][data-state=unsure]")  # the click comes just after this crop
    assert "Cannot tell" in sentence(page)


# The timeline and the attribution, on a small model with real weights


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evidence")
    clips = [write_flash_click(folder / f"{name}.mp4", seconds=10, event=event)
             for name, event in (("clip", 5.0), ("one", 3.0), ("two", 7.0))]  # fmt: skip
    (folder / "truth.json").write_text(
        json.dumps({"clip.mp4": {"events": [{"time": 5.0, "seen": True, "heard": True}]}})
    )
    session = Session(tiny(), name="tiny", distractors=(folder,))
    with serving(session, examples=clips) as address:
        yield address


@pytest.fixture
def explained(browser, evidence):
    """The page with the first example open."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    failures = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(evidence)
    page.click("#examples button[title=clip]")
    page.wait_for_selector(DRAWN)
    page.wait_for_function("document.querySelector('#player video')?.readyState >= 1")
    yield page
    context.close()
    assert not failures


def masks(page):
    return int(page.locator("#progress .run").get_attribute("data-masks"))


def timeline(page, of):
    """A part of what plotly holds, such as `layout.xaxis.range`."""
    return page.evaluate(f"document.querySelector('#timeline [data-part=plot]').{of}")


def place(page, time):
    """Where a moment stands on the screen, in the row of the frames."""
    return page.evaluate(
        """(time) => { const plot = document.querySelector('#timeline [data-part=plot]');
        const box = plot.getBoundingClientRect();
        const x = plot._fullLayout.xaxis; return [box.x + x._offset + x.l2p(time), box.y + 20]; }""",
        time,
    )


def test_the_timeline_shows_the_truth_and_seeks(explained):
    page = explained
    shapes = timeline(page, "layout.shapes.map((s) => [s.name, s.x0])")
    assert [x for name, x in shapes if name == "seen"] == pytest.approx([5.0])
    assert [x for name, x in shapes if name == "heard"] == pytest.approx([5.0])
    assert sum(name == "segment" for name, _ in shapes) == 14
    begin, end = timeline(page, "layout.xaxis.range")
    assert end - begin == pytest.approx(5)
    page.mouse.move(*place(page, 5.05))
    page.wait_for_selector("#timeline [data-part=peek]", state="visible")
    frame = int(page.locator("#timeline [data-part=peek]").get_attribute("data-frame"))
    assert frame == pytest.approx((5.05 - begin) * 10, abs=1)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("Math.abs(document.querySelector('#player video').currentTime - 5.05) < 0.05")
    page.focus("#timeline [data-part=stage]")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("Math.abs(document.querySelector('#player video').currentTime - 5.09) < 0.05")


def test_attribute_stop_continue_and_take_away(explained):
    page = explained
    page.get_by_role("tab", name="Settings").click()
    page.fill("#samples input[type=number]", "20000")
    page.keyboard.press("Tab")
    page.click("#attribute")
    page.wait_for_function("document.querySelector('#timeline [data-part=plot]').dataset.curves === '2'")
    page.evaluate("Plotly.relayout(document.querySelector('#timeline [data-part=plot]'), {'xaxis.range': [4, 6]})")
    page.click("#stop")
    page.wait_for_function("document.querySelector('#progress').innerText.includes('Stopped')")
    page.wait_for_timeout(700)  # a round that was under way when Stop was pressed still counts
    stopped = masks(page)
    assert 0 < stopped < 40_000
    assert "masks/s" in page.inner_text("#progress")
    page.wait_for_timeout(700)
    assert masks(page) == stopped, "nothing goes on behind the visitor's back"
    page.click("#continue")
    page.wait_for_function(f"Number(document.querySelector('#progress .run')?.dataset.masks) > {stopped}")
    assert timeline(page, "layout.xaxis.range") == pytest.approx([4, 6]), "the zoom survives"
    page.click("#stop")
    page.wait_for_function("document.querySelector('#progress').innerText.includes('Stopped')")
    page.screenshot(path=SCREENSHOTS / "attributed.png", full_page=True)
    page.uncheck("#timeline [data-part=heat]")
    assert timeline(page, "data.filter((t) => t.name === 'heat').map((t) => t.visible)") == [False, False]
    page.get_by_role("tab", name="Take away").click()
    with page.expect_download() as saved:
        page.click("#take-data-csv")
    table = saved.value.path().read_text().splitlines()
    assert table[0].startswith("modality,begin,end")
    assert len(table) == 1 + 2 * 48
    page.click("#take-link")
    page.wait_for_function(
        "document.querySelector('#take-address input, #take-address textarea').value.includes('example=clip')"
    )


def test_sweep_and_compare(explained):
    page = explained
    page.get_by_role("tab", name="Settings").click()
    page.fill("#samples input[type=number]", "100")
    page.keyboard.press("Tab")
    page.get_by_role("tab", name="Sweep").click()
    page.click("#sweep")
    page.wait_for_function("document.querySelector('#sweep-words').innerText.includes('on the diagonal')")
    page.wait_for_function("document.querySelector('#sweep-figure .js-plotly-plot')?.data[0].x.length === 21")
    page.get_by_role("tab", name="Compare").click()
    page.click("#compare")
    page.wait_for_function("document.querySelector('#compare-words').innerText.includes('Rank correlation')")
    titles = page.locator("#compare-figure figcaption").all_inner_texts()
    assert ["+0.00" in titles[0], "+0.40" in titles[1]] == [True, True]
    page.screenshot(path=SCREENSHOTS / "compared.png", full_page=True)


def test_a_link_opens_the_example(browser, evidence):
    page = browser.new_page()
    page.goto(f"{evidence}/?example=one&offset=0.4&samples=300")
    page.wait_for_selector(DRAWN)
    assert page.locator("#offset input[type=number]").input_value() == "0.4"
    page.wait_for_function("document.querySelector('#result [data-part=sync]').innerText !== ''")
    page.get_by_role("tab", name="Settings").click()
    assert page.locator("#samples input[type=number]").input_value() == "300"
    assert "one.mp4" in page.inner_text("#caption")
    page.goto(f"{evidence}/?example=../../etc/passwd")
    page.wait_for_selector("#result [data-part=card][data-state=error]")
    page.close()


LISTEN = """async (address) => {
    document.body.innerHTML = '<video></video>';
    const video = document.querySelector('video'), audio = new AudioContext();
    const node = audio.createMediaElementSource(video), meter = audio.createScriptProcessor(256, 1, 1);
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    let click = null, flash = null;
    node.connect(meter); meter.connect(audio.destination);
    meter.onaudioprocess = (event) => {
        const samples = event.inputBuffer.getChannelData(0);
        if (click === null && samples.some((sample) => Math.abs(sample) > 0.3)) click = performance.now();
    };
    const look = (now, frame) => {
        canvas.drawImage(video, 0, 0, 8, 8);
        if (flash === null && canvas.getImageData(4, 4, 1, 1).data[0] > 120) flash = frame.expectedDisplayTime;
        video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    video.src = address;
    await video.play();
    while (!video.ended && (click === null || flash === null)) await new Promise((next) => setTimeout(next, 50));
    return (flash - click) / 1000;
}"""


@pytest.mark.parametrize("offset", [0.6, -0.6])
def test_the_browser_hears_the_shift(browser, tmp_path, offset):
    """Played in real time, the click comes `offset` seconds before the flash."""
    whole = write_flash_click(tmp_path / "whole.mp4", seconds=5)
    part = write_shifted(whole, offset, tmp_path / "part.mp4", start=2.2, seconds=2.0)
    page = browser.new_page()
    page.route("**/*", lambda route: _answer(route, part))
    page.goto("http://localhost/page")
    assert page.evaluate(LISTEN, "/part.mp4") == pytest.approx(offset, abs=0.15)
    page.close()


def _answer(route, part):
    if route.request.url.endswith(".mp4"):
        route.fulfill(body=part.read_bytes(), content_type="video/mp4", headers={"Accept-Ranges": "none"})
    else:
        route.fulfill(body="<body></body>", content_type="text/html")
