"""What the documentation states in figures: the commands that print them, and what they are about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A page of results.

    Attributes:
        title: of the page.
        about: what is measured, in Markdown.
        commands: shell commands, run one after the other in the root of the project; what they print is the result.
        minutes: roughly, on two idle CPU cores.
        weights: embedded checkpoints whose figures these are, by name; empty where the commands train their own.
        needs: what must be there beside the project, in words.
    """

    title: str
    about: str
    commands: tuple[str, ...]
    minutes: float
    weights: tuple[str, ...] = ("mini",)
    needs: str = ""


RUNS = "runs/results"  # where commands leave their files; git ignores it

FILM = (
    f"python -m synthetic --film 80 --offset -0.3 --drift 600 --height 112 --width 112 --out {RUNS}/films",
    f"python -m synchformer scan {RUNS}/films/film.mkv",
    f"python -m synchformer fix {RUNS}/films/film.mkv -o {RUNS}/films/fixed.mkv --resample",
)

UNSEEN = (
    'R="--without clap snap --precision bf16"',
    "python -m training.run unimodal $R --out runs/some --data synthetic:820000 --count 520 --steps 2600 --batch 256 "
    "--lr 1.5e-3",
    "python -m training.run avclip $R --out runs/some --data synthetic:820000 --count 300 --steps 60 --batch 4 "
    "--lr 2e-4",
    'R="$R --data synthetic:830000 --count 1800 --held-out 120 --replace 0.6"',
    "python -m training.run sync $R --out runs/some --steps 1800 --lr 2e-3",
    "python -m training.run export --out runs/some --to some.safetensors",
    "mkdir runs/moments && cp -r runs/some/avclip runs/some/features runs/moments",
    "python -m training.run sync $R --out runs/moments --module some.safetensors --revoice 0.6 --steps 900 --lr 1e-3",
    "python -m training.run export --out runs/moments --to moments.safetensors",
    "python -m training.evaluate some.safetensors --only clap snap --count 300",
    "python -m training.evaluate moments.safetensors --only clap snap --count 300",
)

BASELINES = (
    'D="--data synthetic:780000 --count 1200"; U="--steps 1000 --batch 48"',
    'E="--steps 400 --batch 64 --sounds 8 --valid-every 100 --valid-crops 256"',
    "for model in avst sparsesync; do",
    "  python -m training.run unimodal --out runs/$model $D $U --model $model",
    "  python -m training.run baseline --out runs/$model $D $E --model $model",
    "  python -m training.run export --out runs/$model --of baseline --to runs/$model/model.safetensors",
    "done",
    "for run in two-stage:400 two-stage-64k:1000; do",
    "  python -m training.run unimodal --out runs/${run%:*} $D $U",
    "  python -m training.run avclip --out runs/${run%:*} $D --steps 80 --batch 8",
    "  python -m training.run sync --out runs/${run%:*} $D --steps ${run#*:} --batch 64",
    "  python -m training.run export --out runs/${run%:*} --to runs/${run%:*}/model.safetensors",
    "done",
    "for run in two-stage two-stage-64k avst sparsesync; do",
    "  python -m training.evaluate runs/$run/model.safetensors --count 240 --out runs/$run/evaluation.json",
    "done",
    "python -m training.compare runs/two-stage runs/two-stage-64k runs/avst runs/sparsesync "
    '--group "at least one event in both crops" --out runs/comparison',
)

MEASUREMENTS = {
    "examples": Measurement(
        "Predictions of the example clips",
        "What `predict` prints. The first two clips are in sync; the sound of the second is moved 0.4 s earlier before "
        "the model is asked. The third has the sound of another clip, so that no offset is right.",
        (
            "python -m synchformer predict assets/examples/hammer.mp4",
            "python -m synchformer predict assets/examples/clap_and_lamp.mp4 --start 2.5 --offset 0.4",
            "python -m synchformer predict assets/examples/wrong_sound.mp4",
            "python -m synchformer predict assets/examples/wrong_sound.mp4 --model mini-synchronizability",
            "python -m synchformer predict assets/examples/hammer.mp4 --fine",
        ),
        1,
        ("mini", "mini-synchronizability"),
    ),
    "prediction-speed": Measurement(
        "Seconds for one prediction",
        "Stage by stage, for a new clip and for the same clip with its sound moved. `base` is the size of the "
        "published models, with random weights: its time does not depend on them.",
        ("python -m benchmarks.prediction",),
        2,
    ),
    "decoders": Measurement(
        "The same crops through other decoders",
        "Do results move with what reads the file? `same` is the share of pictures that are equal bit by bit, `levels` "
        "the largest difference of a pixel (of 255), `moved` by how many pictures the other lies later; `samples` is "
        "the largest difference of a sample, relative to the loudest, when the sound is moved by `shift` samples. "
        "Release 19 of PyAV does not exist yet.",
        (
            f"pip install -q --no-deps --target {RUNS}/pyav16 av==16.1.0",
            f"pip install -q --no-deps --target {RUNS}/pyav17 av==17.1.0",
            f"pip install -q --no-deps --target {RUNS}/torchcodec torchcodec==0.11.1",
            f"PYTHONPATH={RUNS}/torchcodec python -m benchmarks.decoders --site {RUNS}/pyav16 --site {RUNS}/pyav17",
        ),
        2,
        (),
        needs="the ffmpeg program",
    ),
    "accuracy": Measurement(
        "Accuracy on held-out generated clips",
        "Clips that no training and no validation has seen, written as MP4 files and read as any file is. Where no "
        "event is both seen and heard within the crops, no answer can be right but by chance. Intervals are 95 %.",
        ("python -m training.evaluate mini --count 500",),
        20,
    ),
    "real-clips": Measurement(
        "Accuracy on real clips",
        "Real footage in sync, of sources on which nothing was trained, at random starts and with random offsets "
        "applied. `mini` has never seen a real recording.",
        ('python -m training.evaluate mini --data "folder:$REAL" --split valid --all --rounds 21',),
        25,
        needs="a folder `$REAL` with real videos in sync in its subfolder `valid`",
    ),
    "synchronizability": Measurement(
        "Can picture and sound be matched at all?",
        "Area under the ROC curve, by the reason for which a crop cannot be synchronized: the sound of the same clip "
        "one crop length away, of another clip, or an offset under which no event is shared.",
        ("python -m training.evaluation.synchronizability_by_cause mini-synchronizability --count 240",),
        10,
        ("mini-synchronizability",),
    ),
    "segments": Measurement(
        "Stage I: windows that find their counterpart",
        "Shifted-window precision of the embedded stage I weights on held-out generated clips.",
        ("python -m training.evaluation.segments mini-avclip --count 100",),
        5,
        ("mini-avclip",),
    ),
    "continuous-offsets": Measurement(
        "Continuous offsets and their intervals",
        "Held-out generated clips with offsets between the classes. Each is measured with constants that were fitted "
        "on the other folds; those in `assets/calibration.json` are fitted on all of them.",
        (f"python -m training.calibration.fit {RUNS}/trials --count 400 --to {RUNS}/calibration.json",),
        90,
    ),
    "drifting-film": Measurement(
        "A film whose sound drifts, and its repair",
        "A generated film of 80 s whose sound is 300 ms late at first and 500 ms early at the end.",
        FILM,
        2,
    ),
    "films-and-sets": Measurement(
        "What long films and sets of clips cost",
        "A scan of a film of 60 minutes beside one of half the length, and DeSync of 200 generated clips in sync in "
        "both of its definitions.",
        ("python -m benchmarks.tools --minutes 60 --clips 200",),
        15,
    ),
    "attribution": Measurement(
        "Attribution where the evidence is known",
        "Generated clips with one event in both crops. Pointing: the peak lies within 0.15 s of the event. Insertion "
        "and deletion: the share of right answers while moments are added or removed in the order of the curve. With "
        "random weights, intervals must contain 0.5 as often as they promise.",
        ("python -m attribution.proof.evaluate --count 30",),
        40,
    ),
    "attribution-several-events": Measurement(
        "Attribution with several events",
        "Two to four events are seen and heard, so that none of them is necessary.",
        ("python -m attribution.proof.evaluate --count 8 --events 2-4 --keep 0.3",),
        15,
    ),
    "attribution-methods": Measurement(
        "Attribution beside captum's methods",
        "The same moments explained by random masks and by three methods of captum, which give no intervals.",
        (
            "python -m attribution.proof.evaluate --count 6 --samples 400 "
            "--methods occlusion,kernelshap,integrated_gradients",
        ),
        15,
    ),
    "attribution-input-level": Measurement(
        "Attribution by replacing frames and samples",
        "Frames and samples are replaced before the encoders: nothing leaks inside a segment, but hard cuts look and "
        "sound like events.",
        ("python -m attribution.proof.evaluate --count 4 --samples 400 --level input",),
        30,
    ),
    "attribution-speed": Measurement(
        "Masks per second",
        "Against the whole model for every mask, and against the synchronization module called with mixed features. "
        "`base` has random weights.",
        ("python -m benchmarks.attribution --masks 2000",),
        15,
    ),
    "page": Measurement(
        "How the page feels",
        "The real server and Chromium: first paint, the answer while the slider is dragged, memory over many requests.",
        ("python -m benchmarks.page --requests 500",),
        15,
        needs="Chromium",
    ),
    "stage2-speed": Measurement(
        "Stage II: cached features against decoding",
        "Training samples per second that read features from disk, against those that decode and encode every crop.",
        ("python -m benchmarks.stage2",),
        5,
    ),
    "training-cost": Measurement(
        "What a training costs, by arithmetic",
        "Operations and storage of the stages, for `mini` on 2,000 generated clips and for the published size on as "
        "many clips as VGGSound has, with one view of the picture and with eight. A training step is taken for three "
        "forward passes.",
        (
            "python -m benchmarks.training_cost",
            "python -m benchmarks.training_cost --preset base --clips 200000",
            "python -m benchmarks.training_cost --preset base --clips 200000 --views 8",
        ),
        0.3,
        (),
    ),
    "unseen-kinds": Measurement(
        "Looks and sounds that were never met",
        "Models trained without claps and snaps, on clips whose shared events are claps and snaps only: with the "
        "sounds that belong to the looks, and then with other sounds in time (`--revoice`).",
        UNSEEN,
        60,
        (),
    ),
    "baselines": Measurement(
        "Two stages beside end-to-end baselines",
        "AVST- and SparseSync-style models of the size of `mini`, trained end to end, beside the two-stage recipe: "
        "equal clips, equal sizes, one run each, and equal crops but for the second row. `CPU min` leaves out encoding "
        "the features that stage II reads.",
        BASELINES,
        240,
        (),
    ),
}
"""Pages of `docs/results`, by their name, in the order of the index."""
