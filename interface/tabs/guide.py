"""A short "how to read this"."""

from __future__ import annotations

GUIDE = """<div class="guide">
<p><b>The answer.</b> The bars are the model's probabilities for each offset. Right of zero the sound is <b>early</b>
(heard before it is seen), left of zero it is <b>late</b>. One bar is 0.2 s wide: smaller offsets do not show. When the
bars spread, or sound and picture do not seem to belong together, the page says that it cannot tell.</p>
<p><b>Moving the sound.</b> The dotted line is where you moved it. For a file in sync, the highest bar follows the
line. <b>Sweep</b> does this for the whole range.</p>
<p><b>The curves.</b> Moments are hidden at random (filled from another clip) thousands of times. A curve tells how
often a moment was visible when the answer stayed right: at the dashed line it does not matter, above it it helps, below
it it misleads. The band is a 95 % interval: a bump is a finding only where its band clears the dashed line. Blue is
what is seen, orange is what is heard; the brackets are the model's segments, which overlap by half.</p>
<p><b>A whole film.</b> Each dot is a window of five seconds; hollow ones are less sure. The line is what explains them
together: one offset, a drift, or jumps at edits. The band is the 90 % interval of the offset.</p>
<p><b>The clock.</b> Everything stands at the player's time. Moved sound stands where it is heard now, so evidence that
belongs together lies apart by the offset.</p>
</div>"""
