"""The tested answer about an opened clip, from what is known of the slider's places and from other starts."""

from __future__ import annotations

from collections.abc import Sequence

from interface.accelerator import tasks, zerogpu
from interface.session.errors import number, page_errors
from interface.session.session import Session
from synchformer.consensus.answers import read_surroundings, starts_around, usual_shifts, window_of
from synchformer.consensus.consensus import Consensus, consensus_of
from synchformer.inference.crop_checks import lacks
from synchformer.inference.sliding_windows import Window
from synchformer.media.crop import cut_crop, possible_offsets


def clip_consensus(session: Session, key: object, start: object) -> Consensus:
    """What the answers under known shifts of the sound agree on, at this start and up to two others of the clip.

    Answers that are known are not asked for again; the accelerator is given back between two starts.

    Args:
        session: the model that is asked.
        key: of an opened clip.
        start: seconds; where the crop begins.

    Raises:
        PageError: as `Session.predict`.
    """
    clip, begin = session.opened(key), number("start", start)
    config, shifts = session.model.config, usual_shifts(session.model)
    with page_errors(clip.name):
        low, high = possible_offsets(clip.info, config, begin)
        prepared = session.prepared(clip.key, begin)
        here = cut_crop(prepared.media, begin, config=config)
        asked = [shift for shift in shifts if low - 1e-6 <= shift <= high + 1e-6]
        heard = [each.prediction for each in session.answers(clip.key, begin, asked) if not each.lacks]
        windows = [window_of(here, heard)] if heard else []
        for place in starts_around(clip.info, config, begin)[1:]:
            if place not in prepared.elsewhere:
                prepared.elsewhere[place] = _windows_at(session, clip.key, place, shifts)
            windows += prepared.elsewhere[place]
        return consensus_of(session.model, windows, lacks(here, still=prepared.still))


def _windows_at(session: Session, key: object, start: float, shifts: Sequence[float]) -> tuple[Window, ...]:
    """Answers at a start that nobody looks at; what was decoded for them is not kept."""
    reach = max(map(abs, shifts))
    around = read_surroundings(session.opened(key).path, session.model.config, start, reach, starts=1)
    with session.workspace.turn():
        windows: tuple[Window, ...] = zerogpu.run(
            tasks.windows_around, session.model, around, shifts, session.precision
        )
    return windows
