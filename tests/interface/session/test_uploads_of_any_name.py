"""What is uploaded is judged by its content, under any name; and no answer of the page holds NaN."""

import json
import math

import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from interface.session.errors import PageError
from interface.session.session import Session
from tests.support.flash_click import write_flash_click
from tests.support.page import FlashAndClick, serving
from tests.support.visitor import Visitor

NAMES = ["film.vob", "film.mxf", "film.asf", "film.f4v", "film.M2TS", "film", "film.txt", "2024-05-01T10_00 $x$.mp4"]


class NoNumbers(FlashAndClick):
    """Answers with NaN."""

    def synchronize(self, video, audio):
        return torch.full((len(video), self.config.offset_classes), math.nan)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_flash_click(tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=10, event=5.0)


@pytest.fixture(scope="module")
def address():
    with serving(Session(FlashAndClick(), name="known answer")) as address:
        yield address


@pytest.mark.parametrize("name", NAMES)
def test_the_page_takes_a_video_under_any_name(address, clip, tmp_path, name):
    (tmp_path / name).write_bytes(clip.read_bytes())
    visitor = Visitor(address)
    visitor.open(tmp_path / name)
    assert "no offset" in visitor.card["sentence"].lower()


def test_programs_send_a_video_under_any_name(address, clip, tmp_path):
    (tmp_path / "film.vob").write_bytes(clip.read_bytes())
    client = Client(address, verbose=False)
    answer = client.predict(handle_file(tmp_path / "film.vob"), 2.5, api_name="/predict")
    assert answer["single"]["offset"] == pytest.approx(0)


def test_what_is_no_video_is_told_by_its_content(address, tmp_path):
    (tmp_path / "notes.txt").write_text("no film at all, but a text of some length" * 50)
    with pytest.raises(AppError, match=r"notes\.txt is (not a media file|no video file)"):
        Client(address, verbose=False).predict(handle_file(tmp_path / "notes.txt"), api_name="/predict")


def test_an_answer_that_is_no_number_is_a_sentence(clip):
    session = Session(NoNumbers(), name="none")
    key = session.open(clip).key
    with pytest.raises(PageError, match="answers with NaN or infinity, so there is no result"):
        session.predict(key, 2.0, 0.0)
    with pytest.raises(PageError, match="answers with NaN or infinity"):
        list(session.sweep(key, 2.0))


def test_a_card_that_says_so_is_json(clip):
    with serving(Session(NoNumbers(), name="none")) as address:
        visitor = Visitor(address)
        visitor.open(clip)
        card = json.loads(visitor.shown["result"], parse_constant=pytest.fail)
    assert "NaN or infinity" in json.dumps(card)
