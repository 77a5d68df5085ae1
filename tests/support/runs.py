"""`training.run` on a model that is small enough for tests; the program kills itself where it is asked to.

python -m tests.support.runs STEP STAGE [OPTION ...]      dies in step STEP, before its update
"""

import os
import signal
import sys
from dataclasses import replace

from synchformer.config import MINI
from training import run

TINY = replace(
    MINI, name="tiny", dim=16, heads=2, video_depth=1, audio_depth=1, sync_dim=16, sync_heads=2, sync_depth=1,
    image_size=32, short_side=36,
)  # fmt: skip


def main(step, arguments):
    from training.trainer.loop import Trainer

    update = Trainer._apply

    def apply(trainer, loss):
        if trainer.step + 1 == step:
            os.kill(os.getpid(), signal.SIGKILL)
        update(trainer, loss)

    Trainer._apply = apply
    run.PRESETS["mini"] = TINY
    return run.main(arguments)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
