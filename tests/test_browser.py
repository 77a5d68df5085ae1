"""The page in a real browser: upload, look, drag, fail kindly, and never leave this computer."""

import re
from pathlib import Path
from urllib.parse import urlparse

import pytest
from page_server import FlashAndClick, serving
from test_shift import write_flash_click

from interface.session import Session
from synchformer.shift import write_shifted

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
SCREENSHOTS = Path(__file__).parent / "screenshots"
ANSWERED = "[data-part=card][data-state=telling]"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM} (Debian: apt install chromium)"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("browser") / "flash & click.mp4", seconds=10, event=5.0)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(SWITCHES))
        yield chromium
        chromium.close()


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
        page.set_default_timeout(15_000)
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


def sentence(page):
    return page.locator("[data-part=sentence]").inner_text().replace("\u00a0", " ")


def drawn_bars(page):
    """Heights of the bars as plotly holds them."""
    return page.evaluate("Array.from(document.querySelector('[data-part=plot]').data[0].y)")


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
    if look != "phone":
        assert page.evaluate("document.documentElement.scrollHeight") <= 900
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{look}.png", full_page=look == "phone")


def test_dragging_moves_the_answer_before_the_slider_is_let_go(open_page, clip):
    page = open_page()
    upload(page, clip)
    page.wait_for_selector(ANSWERED)
    page.wait_for_function("document.querySelector('#player video')?.src")
    source = page.locator("#player video").get_attribute("src")
    box = page.locator("#offset input[type=range]").bounding_box()
    middle, right = box["x"] + box["width"] / 2, box["x"] + box["width"] * 0.8
    page.mouse.move(middle, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(right, box["y"] + box["height"] / 2, steps=8)
    page.wait_for_function(r"/1\.[24]\ss early/.test(document.querySelector('[data-part=sentence]').innerText)")
    assert "earlier: heard before" in page.locator("#offset-words").inner_text()
    assert page.locator("#player video").get_attribute("src") == source  # the clip waits for the release
    page.mouse.up()
    page.wait_for_function(f"document.querySelector('#player video')?.src !== {source!r}")
    page.wait_for_function("document.querySelector('#player video')?.readyState >= 2")
    applied = float(page.locator("[data-part=plot]").get_attribute("data-applied"))
    assert applied == pytest.approx(1.2, abs=0.09)  # the pixel decides
    mark = page.evaluate("document.querySelector('[data-part=plot]').layout.shapes[0].x0")
    assert mark == applied
    page.screenshot(path=SCREENSHOTS / "dragged.png")


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
    place = page.evaluate(
        """() => { const plot = document.querySelector('[data-part=plot]'), box = plot.getBoundingClientRect();
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
    page.wait_for_selector("[data-part=card][data-state=error]")
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
    page.wait_for_selector("[data-part=card][data-state=error]")
    assert re.search(r"\d", sentence(page))
    page.fill("#offset input[type=number]", "0")
    page.keyboard.press("Tab")
    page.wait_for_selector(ANSWERED)


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
