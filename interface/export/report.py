"""A report of one measurement as a single HTML file: it opens by a double click and asks nothing of the network."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import synchformer
from attribution.figures.figure_data import make_figure_data
from attribution.figures.matplotlib_figure import draw
from attribution.result import Attribution, rows
from attribution.strongest_moments import NONE_CERTAIN, StrongMoment, strongest_moments
from interface.views.svg_charts import as_svg, distribution_chart, residual, sweep_chart
from interface.views.sweep_table import sweep_csv
from synchformer.checkpoints.experience import experience
from synchformer.checkpoints.registry import CHECKPOINTS
from synchformer.consensus.consensus import Consensus
from synchformer.inference.crop_checks import lacks
from synchformer.inference.prediction import Prediction, Synchronizability
from synchformer.media.crop import Crop
from synchformer.media.preprocess import log_mel
from synchformer.storage.atomic import atomic_write
from synchformer.storage.csv_rows import as_csv
from synchformer.storage.json_text import to_json

TEMPLATE = Path(__file__).parent / "report.html"
THEMES = ("light", "dark")
FIGURE_DPI = 130
FRAME_SIZE = 224  # pixels of a moment's picture
SOUND_AROUND = 0.3  # s of spectrogram on either side of a heard moment
SOUND_HEIGHT = 72  # pixels of that spectrogram

Pair = dict[str, str]  # a picture as data addresses, by theme


@dataclass(frozen=True)
class Findings:
    """Everything that was found about one crop; what was not asked is None or empty.

    `name` is what the visitor calls the file, `model` what the page calls the model, `link` where the page can be
    opened again. `consensus` is the tested answer about the file, without which nothing is stated. `seen` and `heard`
    are the seconds of the crop at which known events are seen and heard.
    """

    name: str
    model: str
    clip: Crop
    prediction: Prediction
    attribution: Attribution | None = None
    sweep: tuple[Prediction, ...] = ()
    synchronizability: Synchronizability | None = None
    consensus: Consensus | None = None
    notes: tuple[str, ...] = ()
    link: str | None = None
    measure: str = "score"
    seen: tuple[float, ...] = ()
    heard: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        """The answer in one sentence: what the crop lacks, else the tested answer.

        Of sound that was moved, the single answer is told where the test says that the model understands the clip.
        """
        missing = lacks(self.clip)
        if missing:
            return f"Cannot tell: {missing[0].split(' in these ')[0].lower()}"
        sentence = self.prediction.sentence
        if self.consensus is None:
            return f"One answer, not tested: {sentence}"
        if not (self.consensus.stated and self.clip.offset):
            sentence = self.consensus.sentence
        return sentence[0].upper() + sentence[1:]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values; the file is called by its name, places on the server are left out."""
        attribution = None if self.attribution is None else self.attribution.as_json() | {"path": self.name}
        return {
            "name": self.name,
            "model": self.model,
            "verdict": self.verdict,
            "notes": list(self.notes),
            "start": self.clip.video_start,
            "consensus": None if self.consensus is None else self.consensus.as_dict(),
            "prediction": _plain(self.prediction),
            "sweep": [_plain(each) for each in self.sweep],
            "synchronizability": None if self.synchronizability is None else self.synchronizability.probability,
            "attribution": attribution,
        }


def write_report(findings: Findings, out: Path, made: datetime | None = None) -> Path:
    """Write the report; see `make_report`.

    Raises:
        OSError: when it cannot be written.
    """
    with atomic_write(out) as part:
        part.write_text(make_report(findings, made), encoding="utf-8")
    return out


def make_report(findings: Findings, made: datetime | None = None) -> str:
    """The report as HTML text: verdict, distribution, sweep, figure, moments with their frames, settings, all data.

    Args:
        findings: what to tell.
        made: when; now by default.

    Raises:
        ValueError: for an unknown measure.
    """
    prediction, config = findings.prediction, findings.clip.config
    json_text = to_json(findings.as_json(), ascii_only=True)
    values = {
        "name": findings.name,
        "stem": re.sub(r"[^\w-]+", "_", Path(findings.name).stem)[:60] or "report",
        "verdict": findings.verdict.replace(" %", "\u00a0%").replace(" s ", "\u00a0s "),
        "basis": _basis(findings),
        "notes": _notes(findings),
        "prediction": prediction,
        "distribution": _svg_pair(lambda theme: distribution_chart(prediction, theme)),
        "distribution_words": _distribution_words(prediction),
        "step": f"{config.offset_step:g}",
        "facts": _facts(findings),
        "data": Markup(json_text.replace("<", "\\u003c")),  # no "</script>" of a file's name ends the element
        "json_link": _address("application/json", json_text.encode()),
        "made": (made or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        "version": synchformer.__version__,
    }
    values |= _sweep_part(findings.sweep) | _attribution_part(findings)
    environment = Environment(autoescape=True, trim_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(values)


# Words


def _basis(findings: Findings) -> str:
    clip = findings.clip
    picture, sound = (f"{begin:.2f} to {end:.2f} s" for begin, end in (clip.video_times, clip.audio_times))
    if clip.offset:
        return f"Picture from {picture} of the file with the sound from {sound}, by {findings.model}."
    return f"Measured on {picture} of the file, by {findings.model}."


def _notes(findings: Findings) -> list[str]:
    answer = findings.synchronizability
    doubt = [answer.sentence[0].upper() + answer.sentence[1:] + "."] if answer and answer.finds_nothing else []
    seen = [experience(findings.model)] if findings.model in CHECKPOINTS else []
    return [*dict.fromkeys((*lacks(findings.clip), *findings.notes)), *doubt, *seen]


def _distribution_words(prediction: Prediction) -> str:
    best = ", ".join(f"{_signed(offset)} {share:.0%}" for offset, share in prediction.top(3))
    return f"Likeliest offsets: {best}. The best and its neighbors hold {prediction.near:.0%} of the probability."


def _facts(findings: Findings) -> list[tuple[str, str]]:
    clip, prediction = findings.clip, findings.prediction
    facts = [
        ("Model", findings.model),
        ("Picture of the file", "{:.2f} to {:.2f} s".format(*clip.video_times)),
        ("Sound of the file", "{:.2f} to {:.2f} s".format(*clip.audio_times)),
        ("Applied offset", _signed(prediction.applied_offset)),
        ("One answer, not tested", f"{_signed(prediction.offset)} ({prediction.confidence:.1%})"),
    ]
    if findings.consensus is not None:
        facts.append(("Tested by moving the sound", _tested(findings.consensus)))
    if findings.synchronizability is not None:
        facts.append(("Finds that picture and sound share something", f"{findings.synchronizability.probability:.1%}"))
    if findings.attribution is not None:
        facts += _attribution_facts(findings.attribution)
    facts.append(("Software", f"synchformer {synchformer.__version__}, torch {_torch_version()}"))
    if findings.link:
        facts.append(("Opens again at", findings.link))
    return facts


def _tested(consensus: Consensus) -> str:
    if consensus.offset is None:
        return f"{consensus.places} places, too few"
    return f"{consensus.supported} of {consensus.answerable} places support {_signed(consensus.offset)}"


def _attribution_facts(attribution: Attribution) -> list[tuple[str, str]]:
    settings = attribution.settings
    asked = {name: value for name, value in settings.as_dict().items() if name not in ("batch", "seed")}
    state = "finished" if attribution.finished else f"stopped early, about {attribution.left} masks before the end"
    return [
        ("Explained decision", attribution.target.sentence),
        ("Masks", f"{attribution.masks} in {attribution.seconds:.1f} s ({attribution.rate:.0f} per second), {state}"),
        ("Masked moments are filled from", _counted(attribution.distractors)),
        ("Settings", ", ".join(f"{name} {_in_words(value)}" for name, value in asked.items())),
        ("Seed", str(settings.seed)),
    ]


def _counted(distractors: Sequence[str]) -> str:
    """Names such as `hammer.mp4 at 2.5 s`, file by file."""
    files = Counter(name.rsplit(" at ", 1)[0] for name in distractors)
    return ", ".join(f"{name} ({count} crop{'s' if count > 1 else ''})" for name, count in files.items())


def _in_words(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return (
        {None: "none", True: "yes", False: "no"}.get(value, str(value))
        if not isinstance(value, float)
        else f"{value:g}"
    )


def _signed(value: float) -> str:
    return f"{value:+.2f} s".replace("-", "−") if value else "0 s"


def _torch_version() -> str:
    import torch

    return torch.__version__


# Parts


def _sweep_part(sweep: Sequence[Prediction]) -> dict[str, Any]:
    if not sweep:
        return {"sweep": None, "sweep_link": None}
    unsure = sum(not each.is_conclusive for each in sweep)
    words = (
        f"The sound was moved by {len(sweep)} offsets from {_signed(sweep[0].applied_offset)} to "
        f"{_signed(sweep[-1].applied_offset)}. In a file that is in sync every dot lies on the dashed line; here they "
        f"lie {residual(sweep):.2f} s away on average"
    )
    words += f". Hollow: cannot tell ({unsure})." if unsure else "."
    return {
        "sweep": _svg_pair(lambda theme: sweep_chart(sweep, theme)),
        "sweep_words": words,
        "sweep_link": _address("text/csv", sweep_csv(sweep).encode()),
    }


def _attribution_part(findings: Findings) -> dict[str, Any]:
    attribution = findings.attribution
    if attribution is None:
        return {"figure": None, "csv_link": None}
    figure_data = make_figure_data(
        findings.clip, attribution, measure=findings.measure, seen=findings.seen, heard=findings.heard
    )
    moments = strongest_moments(attribution)
    titles = {"video": "What is seen", "audio": "What is heard"}
    return {
        "figure": {theme: _raster(draw(figure_data, theme=theme)) for theme in THEMES},
        "finding": attribution.sentence[0].upper() + attribution.sentence[1:] + ".",
        "streams": [
            {
                "modality": curve.modality,
                "title": titles[curve.modality],
                "moments": [_moment_card(each, findings.clip) for each in moments[curve.modality]],
            }
            for curve in reversed(attribution.curves)
        ],
        "none_certain": NONE_CERTAIN[0].upper() + NONE_CERTAIN[1:] + ".",
        "chunk": f"{attribution.settings.unit_seconds:g}",
        "keep": f"{attribution.settings.keep:g}",
        "csv_link": _address("text/csv", attribution_csv(attribution).encode()),
    }


def attribution_csv(attribution: Attribution) -> str:
    """An attribution as CSV: a row per moment, as in `Attribution.save`."""
    return as_csv(rows(attribution, attribution.curves))


def _moment_card(moment: StrongMoment, clip: Crop) -> dict[str, str]:
    verb = "seen" if moment.modality == "video" else "heard"
    return {
        "picture": _webp(moment_picture(moment, clip)),
        "alt": f"What is seen when this is {verb}" if verb == "heard" else "The frame at this moment",
        "when": f"{moment.clock:.2f} s",
        "effect": f"effect {moment.effect_in_words}",
    }


def moment_picture(moment: StrongMoment, clip: Crop) -> Image.Image:
    """The frame on the screen at a moment; below a heard one the spectrogram around it."""
    index = min(int(moment.time * clip.config.video_fps), len(clip.video) - 1)
    frame = Image.fromarray(clip.video[index].permute(1, 2, 0).contiguous().numpy())
    frame = frame.resize((FRAME_SIZE, FRAME_SIZE), Image.Resampling.BICUBIC)
    if moment.modality == "video":
        return frame
    both = Image.new("RGB", (FRAME_SIZE, FRAME_SIZE + SOUND_HEIGHT))
    both.paste(frame, (0, 0))
    both.paste(_sound_picture(moment.time, clip), (0, FRAME_SIZE))
    return both


def _sound_picture(time: float, clip: Crop) -> Image.Image:
    """Spectrogram columns around a moment, the lowest band at the bottom, on the scale of the whole crop."""
    levels = log_mel(clip.audio, clip.config).numpy()  # (M, C)
    rate = clip.config.sample_rate / clip.config.hop_length
    places = np.round((time + np.linspace(-SOUND_AROUND, SOUND_AROUND, FRAME_SIZE)) * rate).astype(int)
    inside = (places >= 0) & (places < levels.shape[1])
    shares = (levels - levels.min()) / max(float(np.ptp(levels)), 1e-6)
    columns = np.where(inside, shares[:, np.clip(places, 0, levels.shape[1] - 1)], 0.0)
    colors = (colormaps["magma"](columns[::-1])[..., :3] * 255).astype(np.uint8)
    return Image.fromarray(colors).resize((FRAME_SIZE, SOUND_HEIGHT), Image.Resampling.BILINEAR)


# Pictures


def _svg_pair(chart: Callable[[str], Figure]) -> Pair:
    return {theme: _address("image/svg+xml", as_svg(chart(theme)).encode()) for theme in THEMES}


def _raster(figure: Figure) -> str:
    figure.set_dpi(FIGURE_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return _webp(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()), quality=88)


def _webp(image: Image.Image, quality: int = 82) -> str:
    store = io.BytesIO()
    image.save(store, format="WEBP", quality=quality)
    return _address("image/webp", store.getvalue())


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _plain(prediction: Prediction) -> dict[str, Any]:
    values = asdict(prediction)
    del values["timing"]
    return values | {"sentence": prediction.sentence, "near": prediction.near, "telling": prediction.is_conclusive}
