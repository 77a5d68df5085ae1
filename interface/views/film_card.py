"""What a scan and a correction say, as HTML. Names and sentences may hold foreign text and are escaped."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from synchformer.offsets import Repair, Timeline
from synchformer.offsets.continuous import in_milliseconds
from synchformer.offsets.timeline import clock

KINDS = {"constant": "a constant offset", "drift": "a drift", "jumps": "jumps"}
PHASES = {"before": "Scanning", "writing": "Writing the copy", "after": "Scanning the copy"}
SIGNS = {"within": "✓", "outside": "✗", "cannot tell": "?"}


def time_left(share: float, spent: float) -> str:
    """How long the rest takes, when `share` of the work took `spent` seconds."""
    if share <= 0:
        return "time left not known yet"
    seconds = spent * (1 - share) / share
    return f"{seconds:.0f} s left" if seconds < 100 else f"{seconds / 60:.0f} min left"


def scan_card(timeline: Timeline, stopped: bool) -> str:
    """The result of a scan: its sentence, what broadcasters say to it, and how sure all that is."""
    sentence = timeline.sentence[0].upper() + timeline.sentence[1:]
    if stopped:
        sentence = f"Up to {clock(timeline.moments[-1].stop)}: {timeline.sentence}"
    shares = ", ".join(f"{KINDS[kind]} {share:.0%}" for kind, share in timeline.probability.items())
    notes = [
        f"Explanations: {shares}.",
        f"{_cost(timeline)}; {timeline.calibration_note}.",
        *map(_as_sentence, timeline.notes),
    ]
    lines = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    state = "telling" if timeline.is_conclusive else "unsure"
    return (
        f'<div class="film" data-kind="{timeline.kind}" data-state="{state}">'
        f'<p class="sentence" role="status">{escape(sentence)}</p>{_verdicts(timeline)}{lines}</div>'
    )


def _verdicts(timeline: Timeline) -> str:
    items = "".join(
        f'<li data-judgment="{each.judgment}">{SIGNS[each.judgment]} {escape(each.sentence)}</li>'
        for each in timeline.verdicts
    )
    return f'<ul class="verdicts">{items}</ul>'


def _cost(timeline: Timeline) -> str:
    length = timeline.moments[-1].stop - timeline.moments[0].start
    speed = f", {length / timeline.took:.1f} times real time" if timeline.took else ""
    return f"{len(timeline.moments)} windows over {clock(length)}{speed}"


def _as_sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:].rstrip('.')}." if note else ""


def repair_card(repair: Repair) -> str:
    """What was done, and the numbers before and after."""
    sentences = [f"{repair.out.name}: {repair.correction.sentence}."]
    if repair.forced:
        sentences.append(f"Forced although {repair.forced}.")
    if repair.left_out:
        sentences.append(f"Not kept: {', '.join(repair.left_out)}.")
    sentences += [f"Before: {repair.before.unmeasured_in_words}."] if repair.before and repair.before.unmeasured else []
    sentences += map(_as_sentence, repair.notes)
    first, *others = (escape(each) for each in sentences)
    notes = "".join(f'<p class="note">{each}</p>' for each in others)
    return f'<div class="film"><p class="sentence" role="status">{first}</p>{notes}{_table(repair)}</div>'


def _table(repair: Repair) -> str:
    columns = {"before": repair.before, "after": repair.after}
    scans = {name: timeline for name, timeline in columns.items() if timeline is not None}
    head = "".join(f'<th scope="col">{name}</th>' for name in scans)
    rows = [_row(name, [words(timeline) for timeline in scans.values()]) for name, words in ROWS]
    for verdicts in zip(*(timeline.verdicts for timeline in scans.values()), strict=True):
        judgments = [f"{SIGNS[each.judgment]} {each.judgment}" for each in verdicts]
        rows.append(_row(verdicts[0].tolerance.words, judgments))
    return f'<table class="numbers"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _row(name: str, cells: list[str]) -> str:
    values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(name)}</th>{values}</tr>'


def _offset(timeline: Timeline) -> str:
    low, high = (1000 * end for end in timeline.whole.interval)
    return f"{in_milliseconds(timeline.whole.offset)} ({low:+.0f} to {high:+.0f} ms)".replace("-", "−")


def _slope(timeline: Timeline) -> str:
    low, high = timeline.drift.per_minute_interval
    return f"{timeline.drift.per_minute:+.1f} ms per minute ({low:+.1f} to {high:+.1f})".replace("-", "−")


def _kind(timeline: Timeline) -> str:
    return f"{KINDS[timeline.kind]} ({timeline.probability[timeline.kind]:.0%})"


ROWS: tuple[tuple[str, Callable[[Timeline], str]], ...] = (
    ("Explained by", _kind),
    ("The sound, if constant", _offset),
    ("Its drift, if any", _slope),
)
