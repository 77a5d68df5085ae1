"""The endpoints as programs use them: gradio_client, curl and MCP against the real server."""

import base64
import contextlib
import json
import shutil
import subprocess
import threading
import time

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from attribution.masking.distractors import EXAMPLES, load_bank
from interface.api.clips import _read_settings, _steps, mcp_available
from interface.session.errors import PageError
from interface.session.limits import MAX_SWEEP_OFFSETS
from interface.session.session import Session
from tests.support.flash_click import write_flash_click
from tests.support.models import tiny
from tests.support.page import FlashAndClick, serving

CURL = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="no curl (Debian: apt install curl)")
NAMES = ["/predict", "/synchronizability", "/sweep", "/attribute", "/scan", "/fix"]
WHOLE = ("/fix",)  # looks at the whole file


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("api") / "flash click.mp4", seconds=10, event=5.0)


@pytest.fixture(scope="module")
def session():
    return Session(FlashAndClick(), name="known answer")


@pytest.fixture(scope="module")
def address(session):
    with serving(session) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


@pytest.fixture(scope="module")
def network(clip, tmp_path_factory):
    """A server with a real, untrained network: its answer means nothing, its attribution is a real one."""
    folder = tmp_path_factory.mktemp("others")
    others = [write_flash_click(folder / f"{event}.mp4", seconds=6, event=float(event)) for event in (2, 4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        session = Session(tiny(), name="tiny")
        session._banks[(EXAMPLES,)] = load_bank(session.model, others)  # two crops: quick to encode
        with serving(session) as address:
            yield session, address


def test_every_endpoint_is_documented(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == sorted(NAMES)
    for name in NAMES:
        assert len(endpoints[name]["description"]) > 40
        parameters = {each["parameter_name"]: each for each in endpoints[name]["parameters"]}
        assert parameters["video"]["python_type"]["type"] == "filepath"
        assert name in WHOLE or parameters["start"]["python_type"]["type"] == "float"
        assert "mini" in parameters["model"]["python_type"]["type"]
        assert all(len(each["label"]) > 3 for each in parameters.values())
        without = [name for name, each in parameters.items() if not each["parameter_has_default"]]
        assert without == ["video"]


@pytest.mark.parametrize("offset", [-0.8, 1.2])
def test_predict(client, clip, offset):
    answer = client.predict(video=handle_file(clip), start=2.0, offset=offset, api_name="/predict")
    single = answer["single"]  # of the moved sound; what is tested is the file's own offset
    assert single["offset"] == pytest.approx(offset)
    assert (single["applied_offset"], answer["start"], answer["model"]) == (offset, 2.0, "known answer")
    assert single["telling"]
    assert answer["notes"] == []
    assert sum(single["probabilities"]) == pytest.approx(1)
    assert (answer["stated"], abs(answer["stated_offset"]) <= 0.1) == (True, True)
    assert 0.9 * answer["answerable"] < answer["supported"] <= answer["answerable"]


def test_sweep_streams_and_the_answer_follows_the_sound(client, clip):
    job = client.submit(video=handle_file(clip), start=1.0, first=-2, last=2, step=0.4, api_name="/sweep")
    parts = list(job)
    assert [len(part["results"]) for part in parts] == list(range(1, len(parts) + 1))
    assert [part["finished"] for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    assert last["left_out"] == 3  # at start 1.0 the sound cannot be later than 1 s: -2.0, -1.6 and -1.2 do not fit
    assert [each["applied_offset"] for each in last["results"]] == pytest.approx([0.4 * i for i in range(-2, 6)])
    assert all(abs(each["residual"]) < 0.101 for each in last["results"])


def test_attribute_streams_whole_results(network, clip):
    client = Client(network[1], verbose=False)
    parts = list(
        client.submit(video=handle_file(clip), start=2.0, offset=0.4, samples=600, seed=3, api_name="/attribute")
    )
    assert len(parts) >= 2
    assert [part["masks"] for part in parts] == sorted(part["masks"] for part in parts)
    last = parts[-1]
    assert (last["state"], last["masks"], last["left"]) == ("complete", 1200, 0)
    assert last["video"] == "flash click.mp4"  # the name alone; with "path" the client would fetch it as a file
    assert "path" not in last
    assert last["settings"]["seed"] == 3
    assert {curve["modality"]: len(curve["units"]) for curve in last["curves"]} == {"audio": 48, "video": 48}
    unit = last["curves"][0]["units"][10]
    assert unit["score_low"] <= unit["score"] <= unit["score_high"]
    for part in parts:  # every one is complete in itself
        assert set(part) == set(last)


def test_a_canceled_attribution_stops(network, clip, monkeypatch):
    session, address = network
    ended, steps = threading.Event(), []
    whole = session.attribute

    def watched(*args, **options):
        parts = whole(*args, **options)
        try:
            for part in parts:
                steps.append(part.masks)
                time.sleep(0.05)
                yield part
        finally:
            parts.close()
            ended.set()

    monkeypatch.setattr(session, "attribute", watched)
    job = Client(address, verbose=False).submit(
        video=handle_file(clip), start=2.0, samples=20_000, api_name="/attribute"
    )
    for part in job:
        assert part["state"] == "running"
        break
    job.cancel()
    assert ended.wait(20)
    count = len(steps)
    time.sleep(0.5)
    assert len(steps) == count
    assert steps[-1] < 40_000


def test_nothing_is_kept_of_a_request(client, session, clip):
    client.predict(video=handle_file(clip), start=2.0, api_name="/predict")
    with contextlib.suppress(AppError):
        client.predict(video=handle_file(clip), start=99.0, api_name="/predict")
    assert not session.workspace._clips
    assert session.workspace.features.size == 0


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("/predict", {"start": 50.0}, r"flash click\.mp4 lasts 10\.00 s, .* choose a start"),
        ("/predict", {"start": 0.0, "offset": -1.0}, "choose an offset from"),
        ("/predict", {"offset": 99.0}, "maximum"),
        ("/predict", {"start": -1.0}, "minimum"),
        ("/predict", {"model": "/etc/passwd"}, "not in the list of choices"),
        ("/sweep", {"first": 1.0, "last": -1.0}, "from a first to a later last"),
        ("/sweep", {"step": 0.02}, f"at most {MAX_SWEEP_OFFSETS}"),
        ("/sweep", {"start": 0.0, "first": -2.0, "last": -1.0}, r"offsets from \+0\.00 to \+5\.00 s only"),
        ("/attribute", {"samples": 10**9}, "maximum"),
        ("/attribute", {"keep": 0.0}, "minimum"),
        ("/attribute", {"level": "pixel"}, "not in the list of choices"),
        ("/synchronizability", {}, "no weights here that tell synchronizability"),
    ],
)
def test_errors_are_sentences(client, clip, name, values, message):
    with pytest.raises(AppError, match=message) as caught:
        client.predict(video=handle_file(clip), api_name=name, **values)
    assert "Traceback" not in str(caught.value)
    assert "/tmp" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_none(client, tmp_path, name):
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/x.ts\n")
    with pytest.raises(AppError, match=r"list\.mp4 is not a media file|list\.mp4 is no video file"):
        client.predict(video=handle_file(tmp_path / "list.mp4"), api_name=name)


def test_a_silent_clip_tells_nothing(client, tmp_path):
    from tests.support.media import MediaSpec, write

    path = write(tmp_path / "silent.mp4", MediaSpec(seconds=6, click=None))
    answer = client.predict(video=handle_file(path), api_name="/predict")
    assert (answer["stated"], answer["stated_offset"], answer["single"]["telling"]) == (False, None, False)
    assert answer["sentence"].startswith("cannot tell: nothing can be heard")
    assert "Nothing can be heard" in answer["notes"][0]


def curl(*arguments):
    done = subprocess.run(
        [CURL, "-s", "-N", "--max-time", "60", *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def events(text):
    """Server-sent events: pairs of name and data."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


def ask_by_curl(address, name, clip, *values):
    """What the README tells: upload, ask, listen."""
    (path,) = json.loads(curl("-F", f"files=@{clip}", f"{address}/gradio_api/upload"))
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [file, *values]})
    head = ["-H", "Content-Type: application/json", "-d", body]
    ticket = json.loads(curl(*head, f"{address}/gradio_api/call{name}"))["event_id"]
    return events(curl(f"{address}/gradio_api/call{name}/{ticket}"))


@needs_curl
def test_curl_predict(address, clip):
    found = ask_by_curl(address, "/predict", clip, 2.0, 0.4, "known answer")
    assert found[-1][0] == "complete"
    assert found[-1][1][0]["single"]["sentence"] == "the sound is 0.4 s early (96 % sure)"
    assert found[-1][1][0]["sentence"].startswith("no offset found at this 0.2 s resolution (the answer followed")


@needs_curl
def test_curl_streams(address, network, clip):
    sweep = ask_by_curl(address, "/sweep", clip, 2.0, 0.0, 0.4, 0.2, "known answer")
    assert [name for name, _ in sweep].count("generating") == 3
    assert sweep[-1][0] == "complete"
    evidence = ask_by_curl(
        network[1], "/attribute", clip, 2.0, 0.0, 100, "audio", "token", 0.1, 0.5, 0, "applied", 1, "tiny"
    )
    assert evidence[0][0] == "generating"
    assert evidence[0][1][0]["masks"] > 0


@needs_curl
def test_curl_error(address, clip):
    found = ask_by_curl(address, "/predict", clip, 99.0, 0.0, "known answer")
    assert found[-1][0] == "error"


@pytest.mark.skipif(not mcp_available(), reason="no mcp here: pip install 'gradio[mcp]'")
def test_the_same_as_tools(address, clip):
    """An MCP client sees the endpoints with types and words, asks one, and is told what went wrong."""
    import anyio
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    video = f"data:video/mp4;base64,{base64.b64encode(clip.read_bytes()).decode()}"
    asked = [{"video": video, "start": 2.0, "offset": 0.4}, {"video": video, "start": 99.0}]

    async def talk():
        async with (
            streamable_http_client(f"{address}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            named = {next(name for name in NAMES if tool.name.endswith(name[1:])): tool for tool in tools}
            return named, [await session.call_tool(named["/predict"].name, values) for values in asked]

    named, (answer, refusal) = anyio.run(talk)
    assert sorted(named) == sorted(NAMES)
    for name, tool in named.items():
        fields = tool.inputSchema["properties"]
        assert fields["offset" if name == "/fix" else "start"]["type"] == "number"
        assert "mini" in fields["model"]["enum"]
        assert all(len(each["description"]) > 10 for each in fields.values())
    assert "Measure how far" in named["/predict"].description
    assert "0.4 s early" in answer.content[0].text
    assert refusal.isError
    assert "choose a start" in refusal.content[0].text


@pytest.mark.parametrize(
    ("first", "last", "step", "count"), [(-2.0, 2.0, 0.2, 21), (0.0, 0.0, 1.0, 1), (-1.0, 1.0, 0.02, 101)]
)
def test_steps_of_a_sweep(first, last, step, count):
    found = _steps(first, last, step)
    assert (len(found), found[0], found[-1]) == (count, first, last)


@pytest.mark.parametrize("values", [(0, 1, 0), (0, 1, -1), (float("nan"), 1, 1), (None, 1, 1), (-2, 2, 0.01)])
def test_impossible_sweeps(values):
    with pytest.raises(PageError):
        _steps(*values)


def test_settings_that_do_not_fit():
    usual = {"samples": 10, "modalities": "both", "level": "token", "unit_seconds": 0.1, "keep": 0.5, "tolerance": 0.0,
             "reference": "applied", "seed": 0}  # fmt: skip
    assert _read_settings(**usual).tolerance is None
    for change in ({"unit_seconds": 9.0}, {"modalities": "smell"}, {"seed": None}, {"keep": None}):
        with pytest.raises(PageError, match="cannot be used"):
            _read_settings(**usual | change)
