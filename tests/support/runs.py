"""`training.run` on a model that is small enough for tests, and one that kills its own process."""

import os
import signal
from dataclasses import replace

from synchformer.config import MINI
from training import run

TINY = replace(
    MINI, name="tiny", dim=16, heads=2, video_depth=1, audio_depth=1, sync_dim=16, sync_heads=2, sync_depth=1,
    image_size=32, short_side=36,
)  # fmt: skip


def run_until(step, arguments):
    """`training.run`, which dies in a step before its update; call it in a process of its own."""
    from training.trainer.loop import Trainer

    update = Trainer._apply

    def apply(trainer, *figures):
        if trainer.step + 1 == step:
            os.kill(os.getpid(), signal.SIGKILL)
        update(trainer, *figures)

    Trainer._apply = apply
    run.PRESETS["mini"] = TINY
    return run.main(arguments)
