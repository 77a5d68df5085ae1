"""A page with a known answer, for the tests of the app: a model that looks for one flash and listens for one click."""

import contextlib
import os
import time
from dataclasses import replace

import torch

from synchformer.config import MINI

TINY = replace(
    MINI, name="tiny", short_side=32, image_size=32, dim=16, heads=2, video_depth=1, audio_depth=1, sync_dim=16,
    sync_depth=1, sync_heads=2,
)  # fmt: skip


class FlashAndClick(torch.nn.Module):
    """Not a network: brightness and loudness are its features, and the time between their peaks is its answer."""

    def __init__(self, config=TINY, delay=0.0):
        super().__init__()
        self.config = config
        self.delay = delay  # seconds that the video encoder takes, to see whether it runs again
        self.videos_encoded = 0
        self.weight = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
        self.eval()

    def encode_video(self, frames):
        self.videos_encoded += 1
        time.sleep(self.delay)
        return frames.mean((3, 4, 5)).unflatten(2, (8, 2)).mean(3)[..., None]  # (B, S, 8, 1)

    def encode_audio(self, mel):
        return mel.mean(2).unflatten(2, (6, 11)).mean(3)[..., None]  # (B, S, 6, 1)

    def synchronize(self, video, audio):
        return torch.stack(
            [self._answer(seen[..., 0], heard[..., 0]) for seen, heard in zip(video, audio, strict=True)]
        )

    def _answer(self, seen, heard):
        away = torch.tensor(self.config.grid) - (self._peak(seen, 0.08) - self._peak(heard, 0.11))
        return -((away / 0.1) ** 2)

    @staticmethod
    def _peak(level, step):
        """Seconds of the center of what stands out, over all segments (S, t)."""
        excess = (level - level.median() - 0.5 * (level.max() - level.median())).clamp(min=0)
        segments, steps = level.shape
        times = torch.arange(segments)[:, None] * 0.32 + (torch.arange(steps) + 0.5) * step
        return float((excess * times).sum() / excess.sum().clamp(min=1e-9))


@contextlib.contextmanager
def serving(session, examples=()):
    """The page's address while it is served."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from interface.page import build_interface
    from interface.serve import serve
    from interface.session.model_registry import Models

    page = build_interface(Models(session), examples=examples)
    try:
        yield serve(page, host="127.0.0.1", port=None, wait=False).rstrip("/")
    finally:
        page.close(verbose=False)
