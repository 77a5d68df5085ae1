"""Open the page: drop in a video and see how far its sound is off.

python app.py                                   # in a checkout
python -m interface --model audioset --device cuda
synchformer-page --host 0.0.0.0 --port 8000     # where `synchformer[app]` is installed
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from synchformer.cli.options import add_device
from synchformer.cli.terminal import command


@command
def main(argv: list[str] | None = None, *, program: str = "synchformer-page") -> int:
    """Load the model, build the page and serve it until it is interrupted.

    Args:
        argv: arguments; None takes those of the process.
        program: the name under which it was started, for help and errors.

    Returns:
        the exit code: 2 when the model cannot be loaded.
    """
    options = _parser(program).parse_args(argv)
    from interface.page import build_interface
    from interface.serve import serve
    from interface.session.examples import find_examples
    from interface.session.model_registry import Models
    from interface.session.session import Session
    from synchformer.checkpoints.assets import asset
    from synchformer.checkpoints.registry import load_model

    try:
        session = Session(load_model(options.model, device=options.device), name=Path(options.model).name)
        models = Models(session, device=options.device)
    except (ValueError, OSError) as error:
        print(f"{program}: --model {options.model}: {error}", file=sys.stderr)
        return 2
    page = build_interface(models, examples=find_examples(asset("examples")))
    serve(page, host=options.host, port=options.port, share=options.share)
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="A page that measures how far a video's sound is off.")
    parser.add_argument("--model", default="mini", help="a name from `python -m synchformer models`, or a file")
    add_device(parser)
    # A Space on Hugging Face sets these two variables.
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
    parser.add_argument("--share", action="store_true", help="also open a public address through gradio's tunnel")
    return parser


if __name__ == "__main__":
    sys.exit(main())
