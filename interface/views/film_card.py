"""What a scan and a correction say, as HTML. Names and sentences may hold foreign text and are escaped."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from synchformer.offsets import Repair, Timeline
from synchformer.offsets.continuous import in_milliseconds
from synchformer.offsets.timeline import clock

KINDS = {"constant": "a constant offset", "drift": "a drift", "jumps": "jumps"}
STAGES = {"before": "Scanning", "writing": "Writing the copy", "after": "Scanning the copy"}
SIGNS = {"within": "✓", "outside": "✗", "cannot tell": "?"}


def progress(share: float, *parts: str) -> str:
    """A bar, and words below it of which the first are bold."""
    first, *others = map(escape, parts)
    words = " · ".join([f"<b>{first}</b>", *others])
    bar = f'<div class="bar"><div style="width:{100 * share:.1f}%"></div></div>'
    return f'<div class="run" data-share="{share:.3f}">{bar}<p class="note">{words}</p></div>'


def left(share: float, spent: float) -> str:
    """How long the rest takes, when `share` of the work took `spent` seconds."""
    if share <= 0:
        return "time left not known yet"
    seconds = spent * (1 - share) / share
    return f"{seconds:.0f} s left" if seconds < 100 else f"{seconds / 60:.0f} min left"


def scanned(found: Timeline, stopped: bool) -> str:
    """The result of a scan: its sentence, what broadcasters say to it, and how sure all that is."""
    sentence = found.sentence[0].upper() + found.sentence[1:]
    if stopped:
        sentence = f"Up to {clock(found.moments[-1].stop)}: {found.sentence}"
    shares = ", ".join(f"{KINDS[kind]} {share:.0%}" for kind, share in found.probability.items())
    notes = [f"Explanations: {shares}.", f"{_cost(found)}; {found.calibration_note}.", *map(_whole, found.notes)]
    lines = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    state = "telling" if found.telling else "unsure"
    return (
        f'<div class="film" data-kind="{found.kind}" data-state="{state}">'
        f'<p class="sentence" role="status">{escape(sentence)}</p>{_verdicts(found)}{lines}</div>'
    )


def _verdicts(found: Timeline) -> str:
    items = "".join(
        f'<li data-judgment="{each.judgment}">{SIGNS[each.judgment]} {escape(each.sentence)}</li>'
        for each in found.verdicts
    )
    return f'<ul class="verdicts">{items}</ul>'


def _cost(found: Timeline) -> str:
    length = found.moments[-1].stop - found.moments[0].start
    speed = f", {length / found.took:.1f} times real time" if found.took else ""
    return f"{len(found.moments)} windows over {clock(length)}{speed}"


def _whole(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}." if note else ""


def fixed(made: Repair) -> str:
    """What was done, and the numbers before and after."""
    sentences = [f"{made.out.name}: {made.correction.sentence}."]
    if made.forced:
        sentences.append(f"Forced although {made.forced}.")
    if made.left_out:
        sentences.append(f"Not kept: {', '.join(made.left_out)}.")
    first, *others = (escape(each) for each in sentences)
    notes = "".join(f'<p class="note">{each}</p>' for each in others)
    return f'<div class="film"><p class="sentence" role="status">{first}</p>{notes}{_table(made)}</div>'


def _table(made: Repair) -> str:
    columns = [each for each in (("before", made.before), ("after", made.after)) if each[1] is not None]
    head = "".join(f'<th scope="col">{name}</th>' for name, _ in columns)
    rows = [_row(name, [tell(found) for _, found in columns if found]) for name, tell in ROWS]
    if columns:
        first = columns[0][1]
        assert first is not None
        for index, verdict in enumerate(first.verdicts):
            judged = [found.verdicts[index].judgment for _, found in columns if found]
            rows.append(_row(verdict.tolerance.words, [f"{SIGNS[each]} {each}" for each in judged]))
    return f'<table class="numbers"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _row(name: str, cells: list[str]) -> str:
    values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(name)}</th>{values}</tr>'


def _offset(found: Timeline) -> str:
    low, high = (1000 * end for end in found.whole.interval)
    return f"{in_milliseconds(found.whole.offset)} ({low:+.0f} to {high:+.0f} ms)".replace("-", "−")


def _slope(found: Timeline) -> str:
    low, high = found.drift.per_minute_interval
    return f"{found.drift.per_minute:+.1f} ms per minute ({low:+.1f} to {high:+.1f})".replace("-", "−")


def _kind(found: Timeline) -> str:
    return f"{KINDS[found.kind]} ({found.probability[found.kind]:.0%})"


ROWS: tuple[tuple[str, Callable[[Timeline], str]], ...] = (
    ("Explained by", _kind),
    ("The sound, if constant", _offset),
    ("Its drift, if any", _slope),
)
