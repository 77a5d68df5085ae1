"""How the page feels: first paint, the answer while the offset slider is dragged, memory after hundreds of requests.

python -m benchmarks.page
python -m benchmarks.page --requests 100

The real server and Chromium on this machine. Dragging is measured twice: once the page has learnt the slider's answers
ahead, and right after the clip was opened, when the server is asked at every step (kept features, only sound is encoded
again). Both are compared with the endpoint `/predict`, which opens, decodes and encodes the same clip for every answer.
Times run from the move or the request to the drawn or received answer.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from gradio_client import Client, handle_file
from playwright.sync_api import Page, Route, sync_playwright

from interface.page import build_interface
from interface.serve import serve
from interface.session.examples import find_examples
from interface.session.model_registry import Models
from interface.session.session import Session
from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.registry import load_model

EXAMPLES = asset("examples")
CLIP = EXAMPLES / "clap_and_lamp.mp4"
CHROMIUM = "/usr/bin/chromium"
MOVES = 60  # of which the first ten are not counted
STEPS = 101  # places of the slider
ASKED = 12  # answers of the alternative

DRAG = """async (moves) => {
  const slider = document.querySelector('#offset input[type=range]');
  const plot = document.querySelector('#result [data-part=plot]');
  const times = [];
  for (let move = 0; move < moves; move++) {
    const drawn = plot.dataset.drawn, begin = performance.now();
    slider.value = (((move * 7) % 41) - 20) * 0.04;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    while (plot.dataset.drawn === drawn) await new Promise((resolve) => setTimeout(resolve, 1));
    times.push((performance.now() - begin) / 1000);
  }
  return times.slice(10);
}"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"


@contextmanager
def served() -> Iterator[str]:
    """The address of the page with `mini`, while it is served by this process."""
    page = build_interface(Models(Session(load_model("mini"), name="mini")), examples=find_examples(EXAMPLES))
    try:
        yield serve(page, host="127.0.0.1", port=None, wait=False)
    finally:
        page.close()


@contextmanager
def browser_page(address: str) -> Iterator[Page]:
    """The page in Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(address)
        page.wait_for_selector("#result [data-drawn]")
        yield page
        browser.close()


def drag(page: Page, *, warm: bool) -> list[float]:
    """Seconds from each move of the slider to the drawn answer, with the slider's answers learnt ahead or without."""
    if not warm:
        page.route("**/component_server", _refuse_ahead)
    page.click("#examples button[title='clap and lamp']")
    page.wait_for_selector("#timeline [data-part=plot][data-drawn]")
    if warm:
        page.wait_for_selector(f"#result [data-known='{STEPS}']")
    page.wait_for_timeout(1500)
    times: list[float] = page.evaluate(DRAG, MOVES)
    return times


def _refuse_ahead(route: Route) -> None:
    if '"ahead"' in (route.request.post_data or ""):
        route.abort()
    else:
        route.continue_()


def ask(client: Client, start: float, offset: float) -> float:
    """Seconds until `/predict` has answered."""
    begin = perf_counter()
    client.predict(handle_file(str(CLIP)), start, offset, api_name="/predict")
    return perf_counter() - begin


def resident() -> float:
    """Megabytes of this process in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def memory(client: Client, count: int) -> dict[str, float]:
    """Megabytes before, and after ten requests, each quarter of `count` and all of it."""
    marks = {"before any": resident()}
    for number in range(1, count + 1):
        ask(client, 0.04 * (number % 50) + 2, 0.0)
        if number == 10 or number % max(count // 4, 1) == 0:
            marks[f"after {number}"] = resident()
    return marks


def percentiles(times: list[float]) -> dict[str, Any]:
    """Median and 95th percentile in milliseconds."""
    return {"median": 1000 * median(times), "95th": 1000 * quantiles(times, n=20)[18]}


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500, help="requests between which memory is compared")
    options = parser.parse_args(argv)
    with served() as address:
        with browser_page(address) as page:
            asking = percentiles(drag(page, warm=False))
        with browser_page(address) as page:
            paint, dragged = page.evaluate(PAINT), percentiles(drag(page, warm=True))
        client = Client(address, verbose=False)
        asked = percentiles([ask(client, 2.5, 0.04 * number) for number in range(ASKED)])
        print(f"first contentful paint {paint:.2f} s")
        print(f"dragging: median {dragged['median']:.0f} ms, 95th percentile {dragged['95th']:.0f} ms an answer")
        print(f"asking at every step: median {asking['median']:.0f} ms, 95th percentile {asking['95th']:.0f} ms")
        print(f"/predict: median {asked['median']:.0f} ms; {asked['median'] / dragged['median']:.1f} times dragging")
        for when, size in memory(client, options.requests).items():
            print(f"memory {when} requests: {size:.0f} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
