"""The models that visitors may choose from: loaded when first asked for, shared by everyone, a few at a time."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from interface.accelerator.zerogpu import hold
from interface.session.errors import PageError, page_errors
from interface.session.session import Session
from interface.session.workspace import Workspace
from synchformer.checkpoints.download import cache_folder
from synchformer.checkpoints.registry import CHECKPOINTS, describe, load_model
from synchformer.config import BASE, MINI
from synchformer.inference.prediction import INPUT_SIZES
from synchformer.modeling.synchformer import Synchformer

MODELS_HELD = 4  # in memory, besides the one the page was started with
OWN = "own-"  # how the names of visitors' own checkpoints begin
POLL_SECONDS = 0.25  # between two looks at how far a download is
SYNCHRONIZABILITY_MODELS = (("mini-synchronizability", MINI), ("synchronizability", BASE))

Load = Callable[[str | Path, str], Synchformer]


class Models:
    """Sessions by model name over one workspace.

    Args:
        first: the session that the page was started with; it is never dropped.
        device: where other models are put; as in `load_model`.
        load: gives a model for a name or a file and a device.
    """

    def __init__(self, first: Session, *, device: str = "auto", load: Load = load_model) -> None:
        self.first = first
        self.device = device
        self._load = load
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._synchronizability_models: dict[str, Synchformer] = {}
        self._books = threading.Lock()
        self._loading = threading.Lock()
        self.attach(first)

    @property
    def workspace(self) -> Workspace:
        """What all sessions share."""
        return self.first.workspace

    @property
    def names(self) -> tuple[str, ...]:
        """Names that anyone may ask for: the first model's, and the known checkpoints that tell offsets."""
        known = [name for name, each in CHECKPOINTS.items() if each.stage == "II"]
        return (self.first.name, *(name for name in known if name != self.first.name))

    @property
    def max_offset(self) -> float:
        """Seconds by which page, link and endpoints let the sound be moved, either way: the first model's range."""
        return self.first.model.config.max_offset

    def get(self, name: object) -> Session:
        """The session of a model that is loaded; None means the first.

        Raises:
            PageError: when it is not loaded (any more).
        """
        if name is None or name == self.first.name:
            return self.first
        with self._books:
            session = self._sessions.get(name) if isinstance(name, str) else None
            if session is None:
                raise PageError("This model is not loaded; choose it again.")
            self._sessions.move_to_end(session.name)
        return session

    def loaded(self, name: str) -> bool:
        """Whether a model is in memory."""
        return name == self.first.name or name in self._sessions

    def load(self, name: str) -> Session:
        """The session of a model, loaded (and downloaded) first where needed; see `steps` for the progress.

        Raises:
            PageError: for an unknown name, or when the weights cannot be fetched.
        """
        for _ in self.steps(name):
            pass
        return self.get(name)

    def steps(self, name: str) -> Iterator[str]:
        """Load a model; meanwhile yields sentences about the progress. Afterwards `get` knows it.

        Raises:
            PageError: as `load`.
        """
        if name.startswith(OWN) or name in (self.first.name, *self._sessions):
            self.get(name)
            return
        if name not in self.names:
            raise PageError(f"There is no model named {name!r} here; choose one of {', '.join(self.names)}.")
        yield from self._in_background(name, lambda: self._add(name, name))

    def add_file(self, path: Path) -> str:
        """Take in a visitor's own checkpoint; returns the name, which nobody else can guess.

        Raises:
            PageError: when the file is no checkpoint of this model, or does not tell offsets.
        """
        name = f"{OWN}{path.stem[:40]}-{secrets.token_urlsafe(9)}"
        with page_errors(path.name):
            try:
                self._add(name, path)
            except ValueError as error:  # where the file lies on this computer is nobody's business
                raise PageError(str(error).replace(str(path), path.name)) from error
        return name

    def description(self, name: str) -> str:
        """What a model was trained on, in one line; downloads nothing."""
        if name.startswith(OWN):
            return f"{label(name)}: your own checkpoint"
        return describe(name) if name in CHECKPOINTS else name

    def synchronizability_name(self, session: Session) -> str | None:
        """The checkpoint that tells synchronizability for crops cut as this session cuts them; None without one."""
        config = session.model.config
        known = [each for each in SYNCHRONIZABILITY_MODELS if each[0] in CHECKPOINTS]
        return next((name for name, sizes in known if _same_sizes(sizes, config)), None)

    def synchronizability_steps(self, session: Session) -> Iterator[str]:
        """Load what tells synchronizability for a session; yields sentences about the progress.

        Raises:
            PageError: when there is none, or it cannot be fetched.
        """
        name = self.synchronizability_name(session)
        if name is None:
            raise PageError(f"There are no weights here that tell synchronizability for {label(session.name)}.")
        if name not in self._synchronizability_models:
            yield from self._in_background(
                name, lambda: self._synchronizability_models.setdefault(name, self._loaded(name))
            )

    def synchronizability_ready(self, session: Session) -> bool:
        """Whether synchronizability can be told without a download: embedded, or loaded before."""
        name = self.synchronizability_name(session)
        return name is not None and (name in self._synchronizability_models or not CHECKPOINTS[name].sources)

    def synchronizability_to_fetch(self, session: Session) -> str | None:
        """The name of the weights that a download would bring, so that synchronizability can be told; else None."""
        return None if self.synchronizability_ready(session) else self.synchronizability_name(session)

    def synchronizability_missing(self, session: Session) -> str | None:
        """Why synchronizability cannot be told at once, in a sentence; None when it can."""
        if self.synchronizability_ready(session):
            return None
        name = self.synchronizability_name(session)
        if name is None:
            return "Whether picture and sound belong together at all cannot be told: no weights for that are here."
        return (
            f"Whether picture and sound belong together at all is told by the weights {name!r} "
            f"({CHECKPOINTS[name].size}), which are not downloaded."
        )

    def synchronizability_model(self, session: Session) -> Synchformer:
        """What tells synchronizability for a session, loaded first where needed.

        Raises:
            PageError: as `synchronizability_steps`.
        """
        for _ in self.synchronizability_steps(session):
            pass
        return self._synchronizability_models[self.synchronizability_name(session) or ""]

    def _add(self, name: str, place: str | Path) -> None:
        with self._loading:
            session = Session(self._loaded(place), name=name, workspace=self.workspace)
            self.attach(session)
            with self._books:
                self._sessions[name] = session
                while len(self._sessions) > MODELS_HELD:
                    self._sessions.popitem(last=False)

    def _loaded(self, place: str | Path) -> Synchformer:
        model = self._load(place, self.device)
        hold(model, str(place), self.device)
        return model

    def attach(self, session: Session) -> Session:
        """Let a session tell synchronizability with the weights that suit it."""
        session.load_synchronizability_model = lambda: self.synchronizability_model(session)
        return session

    def _in_background(self, name: str, work: Callable[[], object]) -> Iterator[str]:
        """Do `work` in a thread; the file that grows tells how far a download is."""
        failures: list[BaseException] = []

        def guarded() -> None:
            try:
                work()
            except Exception as error:  # handed on to the visitor below
                failures.append(error)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        while thread.is_alive():
            yield progress(name)
            thread.join(POLL_SECONDS)
        with page_errors(name):
            for error in failures:
                raise error


def progress(name: str) -> str:
    """How far the download of a checkpoint is, in words; reads the size of the file that grows."""
    known = CHECKPOINTS.get(name)
    parts = [place.with_name(place.name + ".part") for place in known.places(cache_folder())] if known else []
    have = sum(part.stat().st_size for part in parts if part.exists())
    if known is None or not have:
        return f"Loading {name} …"
    return f"Downloading {name}: {have / 1e6:.0f} MB so far, {known.size} in all …"


def label(name: str) -> str:
    """A model's name for people: an own checkpoint is called like its file."""
    return re.sub(r"-[\w-]{12}$", "", name.removeprefix(OWN)) if name.startswith(OWN) else name


def wait_for(steps: Iterator[str], seconds: float) -> None:
    """Follow loading to its end, but not longer than `seconds`.

    Raises:
        PageError: when it takes longer.
    """
    end = time.monotonic() + seconds
    for step in steps:
        if time.monotonic() > end:
            raise PageError(f"{step} This takes longer than {seconds:.0f} s; ask again later.")


def _same_sizes(one: object, other: object) -> bool:
    sizes = [name for name in INPUT_SIZES if name not in ("crop_frames", "segments")]
    return all(getattr(one, size) == getattr(other, size) for size in sizes)
