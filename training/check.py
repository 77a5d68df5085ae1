"""Check data sets before training on them.

python -m training.check folder:videos
python -m training.check vggsound:/data/vggsound --annotations lists --all --workers 8

A little of every clip is decoded, at its beginning, middle and end, so that clips are named that are silent, encrypted
or broken, or whose channels cancel each other.
"""

from __future__ import annotations

import argparse
import sys

from synchformer.cli.terminal import command
from synchformer.config import PRESETS
from synchformer.errors import sentence_of
from training.config.command_options import add_annotations, add_workers
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import SPLITS
from training.datasets.validation import check_source, looked_into, summary, table


@command
def main(argv: list[str] | None = None) -> int:
    """Print a table per data set; exit status 1 when one has errors, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.check", description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="such as folder:DIR or vggsound:DIR")
    add_annotations(parser)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="base", help="sizes of the model (default base)")
    parser.add_argument("--sample", type=int, default=500, help="clips of each split to look into (default 500)")
    parser.add_argument("--all", action="store_true", help="look into every clip")
    parser.add_argument("--headers", action="store_true", help="believe what files say of themselves; decode nothing")
    add_workers(parser, default=0)
    arguments = parser.parse_args(argv)
    failed = False
    for name in arguments.sources:
        try:
            source = open_source(name, SourceOptions(annotations=arguments.annotations))
        except (ValueError, OSError) as error:
            parser.error(sentence_of(error))
        count = None if arguments.all else arguments.sample
        findings = check_source(source, PRESETS[arguments.preset], count, arguments.workers, not arguments.headers)
        counts = ", ".join(f"{len(source.samples(split))} {split}" for split in SPLITS)
        looked = summary(findings, len(looked_into(source, count)))
        print(f"{name}: {counts} clips\n\n{table(findings)}\n\n{looked}\n")
        failed |= any(finding.level == "error" for finding in findings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
