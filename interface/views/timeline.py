"""The timeline of the page: pictures, sent once for a start, and the figure of curves, sent as they change.

What `static/timeline.js` is given is one JSON object; parts that it lacks stay as they are on the page:

| part | what |
|---|---|
| `pictures` | a sprite of frames and the spectrogram of all sound that an offset can reach, on the file's clock |
| `figure` | what `attribution.figures.plotly_figure` draws, with or without curves |
| `offset` | seconds by which the sound is moved now; the page moves the spectrogram under the finger itself |
| `of` | start and offset that the curves belong to, null without curves |
| `moments` | the strongest moments of each stream, to be read, heard and clicked |
| `uncertain` | a sentence for each stream that was explained and has none |
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attribution.figures.figure_data import FigureData, explained, make_figure_data
from attribution.figures.plotly_figure import colored, plot, webp
from attribution.result import Attribution
from attribution.strongest_moments import NONE_CERTAIN, strongest_moments
from interface.session.examples import Truth
from interface.session.session import Session
from interface.session.workspace import Upload
from synchformer.config import SynchformerConfig
from synchformer.media.crop import Crop, center_crop
from synchformer.media.preprocess import log_mel
from synchformer.media.probe import Media

FRAME_PIXELS = 80
FRAMES_PER_SECOND = 10  # in the sprite

Part = dict[str, Any]


def clip_timeline(session: Session, clip: Upload, start: float, offset: float, truth: Truth) -> Part:
    """The timeline of a clip at a new start, without curves."""
    crop = session.crop(clip.key, start, offset)
    media = session.media(clip.key, start)
    figure_data = base_figure_data(crop, truth)
    return {
        "pictures": pictures(media, crop.video_start, session.model.config) | {"origin": start if clip.long else 0.0},
        "figure": plot(figure_data, pictures=False),
        "offset": offset,
        "of": None,
        "key": clip.key,
        "moments": [],
        "uncertain": {},
        "headline": "",
    }


def attribution_timeline(figure_data: FigureData, attribution: Attribution, measure: str) -> Part:
    """The curves of an attribution, also of a partial one."""
    strongest = strongest_moments(attribution)
    moments = [each for stream in strongest.values() for each in stream]
    return {
        "figure": plot(explained(figure_data, attribution, measure=measure), pictures=False),
        "of": {"start": attribution.start, "offset": attribution.offset},
        "moments": [
            {"stream": each.modality, "time": round(each.clock, 2), "effect": each.effect_in_words} for each in moments
        ],
        "uncertain": {name: NONE_CERTAIN for name, stream in strongest.items() if not stream},
        "headline": attribution.sentence[0].upper() + attribution.sentence[1:] + ".",
    }


def base_figure_data(crop: Crop, truth: Truth) -> FigureData:
    """The crop with its known events, before anything is explained."""
    end = crop.config.crop_seconds
    seen = [time - crop.video_start for time in truth.seen]
    heard = [time - crop.audio_start for time in truth.heard]
    return make_figure_data(
        crop, None, seen=[t for t in seen if 0 <= t <= end], heard=[t for t in heard if 0 <= t <= end]
    )


def pictures(media: Media, begin: float, config: SynchformerConfig) -> Part:
    """Frames of the crop that begins at `begin`, and the spectrogram of all that was decoded.

    Returns:
        `frames`: a row of square pictures as one WEBP, ten per second; `sound`: a WEBP that covers `seconds` from
        `begin` on. Times are on the file's clock.
    """
    first = round((begin - media.start) * config.video_fps)
    every = config.video_fps / FRAMES_PER_SECOND
    count = int(config.crop_seconds * FRAMES_PER_SECOND)
    places = [min(first + int((number + 0.5) * every), len(media.video) - 1) for number in range(count)]
    squares = center_crop(media.video[places], config.image_size).permute(0, 2, 3, 1).contiguous().numpy()
    spectrogram: NDArray[np.float32] = log_mel(media.audio, config).numpy()
    return {
        "begin": begin,
        "seconds": config.crop_seconds,
        "frames": {"src": webp(sprite(squares), 60), "count": count, "size": FRAME_PIXELS},
        "sound": {
            "src": webp(colored(spectrogram), 75),
            "begin": media.start,
            "seconds": media.audio.shape[-1] / media.sample_rate,
        },
    }


def sprite(squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures (n, s, s, 3) side by side, each `FRAME_PIXELS` wide."""
    small = [np.asarray(Image.fromarray(one).resize((FRAME_PIXELS, FRAME_PIXELS))) for one in squares]
    return np.concatenate(small, axis=1)
