"""Generated clips with sound whose every event is known to a fraction of a frame.

The generator stands alone: it imports nothing of this project, so that training, tests and the proof of the
attribution can all use it as independent truth.

>>> scene = sample_scene(seed=7)
>>> frames = render_frames(scene, frame_times(scene), size=(96, 96))  # uint8 (250, 3, 96, 96)
>>> waveform = render_sound(scene)  # float32 (160000,)
>>> write_clip(scene, "clip.mp4")
"""

from synthetic.film import write_film
from synthetic.render import frame_times, render_batch, render_frames
from synthetic.scene import KINDS, Event, Kind, Scene, sample_scene
from synthetic.seeds import SEEDS, require_held_out
from synthetic.sounds import render_sound
from synthetic.write import write_clip

__all__ = [
    "KINDS",
    "SEEDS",
    "Event",
    "Kind",
    "Scene",
    "frame_times",
    "render_batch",
    "render_frames",
    "render_sound",
    "require_held_out",
    "sample_scene",
    "write_clip",
    "write_film",
]
