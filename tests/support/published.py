"""Files in the published layouts, with tiny tensors and the objects that the published pickles hold."""

import hashlib
import sys
import typing
from collections import OrderedDict, defaultdict
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType

import numpy as np
import torch

from synchformer.checkpoints.published_names import to_published
from synchformer.checkpoints.registry import CHECKPOINTS, Source
from synchformer.config import MINI
from synchformer.modeling.segment_avclip import SegmentAVCLIP
from synchformer.modeling.synchformer import Synchformer

TINY = replace(
    MINI, name="tiny", short_side=32, image_size=32, dim=16, heads=2, video_depth=1, audio_depth=1, sync_dim=16,
    sync_heads=2, sync_depth=1, segments=3, crop_frames=32,
)  # fmt: skip

FOREIGN = {
    "omegaconf": [],
    "omegaconf.dictconfig": ["DictConfig"],
    "omegaconf.listconfig": ["ListConfig"],
    "omegaconf.nodes": ["AnyNode"],
    "omegaconf.base": ["ContainerMetadata", "Metadata"],
    "numpy.core.multiarray": ["scalar"],
    "nobody": [],
    "nobody.knows": ["Table", "Row", "Group", "Made"],
}
BASES = {"Table": (dict,), "Row": (list,), "Group": (set,)}


@contextmanager
def foreign_classes():
    """Modules of the published pickles, importable inside the block and gone after it; yields classes by name."""
    before = {name: sys.modules.get(name) for name in FOREIGN}
    classes = {}
    for module, names in FOREIGN.items():
        sys.modules[module] = ModuleType(module)
        for name in names:
            classes[name] = type(name, BASES.get(name, ()), {"__module__": module})
            setattr(sys.modules[module], name, classes[name])
    classes["Made"].__reduce__ = lambda self: (classes["Made"], (1, "two"), {"three": 3}, iter([4]), iter([(5, 6)]))
    try:
        yield classes
    finally:
        for module, old in before.items():
            if old is None:
                del sys.modules[module]
            else:
                sys.modules[module] = old


def _made(kind, **state):
    thing = kind()
    thing.__dict__.update(state)
    return thing


def run_settings(classes):
    """What stands under `args`: nested settings as OmegaConf pickles them."""
    metadata = _made(
        classes["ContainerMetadata"],
        ref_type=typing.Any, object_type=dict, key_type=int, flags=defaultdict(list, {"readonly": [True]}),
    )  # fmt: skip
    node = _made(classes["AnyNode"], _val=2e-6, _metadata=_made(classes["Metadata"], ref_type=typing.Any, key="lr"))
    items = _made(classes["ListConfig"], _content=[node, node], _metadata=metadata)
    table, row, group = classes["Table"]({"a": items}), classes["Row"]([1, node]), classes["Group"]([1, 2])
    content = {"training": node, "list": items, "table": table, "row": row, "group": group, "made": classes["Made"]()}
    settings = _made(classes["DictConfig"], _content=content, _metadata=metadata, _parent=None)
    items._parent = settings  # a cycle, as in the real ones
    return settings


def stage2(state, extra=None):
    """The layout of stage II and synchronizability."""
    first = next(iter(state.values()))
    return {
        "args": extra, "loss": 1.25, "metrics": {"off": {"accuracy_1": np.float64(0.5), "mAP": 0.25}}, "epoch": 7,
        "optimizer": {"state": {0: {"step": torch.tensor(9.0), "exp_avg": torch.ones_like(first)}},
                      "param_groups": [{"lr": 2e-6, "params": [0, 1]}]},
        "model": OrderedDict(state),
        "scaler": {"scale": 65536.0, "_growth_tracker": 0},
        "lr_scheduler": {"_milestones": [1000], "_last_lr": [np.float32(1e-5)]},
        "model_type": "Synchformer",
    }  # fmt: skip


def stage1(state, extra=None, prefix="module."):
    """The layout of stage I; `module.` stands in front of the names when training was distributed."""
    return {
        "epoch": 3, "name": "segment_avclip", "args": extra,
        "state_dict": OrderedDict((prefix + name, value) for name, value in state.items()),
        "optimizer": {"state": {}, "param_groups": [{"betas": (0.9, 0.999)}]},
        "metrics": {"sync_w_shifts": {"precision": np.float64(0.5)}},
    }  # fmt: skip


def plain(state, extra=None):
    """A bare state dict; `extra` lies among the tensors."""
    return OrderedDict(state) if extra is None else OrderedDict([("extra", extra), *state.items()])


LAYOUTS = {"stage II": stage2, "stage I": stage1, "plain": plain}


def save_with_settings(path, layout, state):
    """Write a file that holds OmegaConf's classes, which are not importable when this returns."""
    with foreign_classes() as classes:
        torch.save(LAYOUTS[layout](state, run_settings(classes)), path)
    return path


def tiny_model(kind=Synchformer, config=TINY, seed=0):
    """A model with random weights in every tensor."""
    torch.manual_seed(seed)
    model = kind(config)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.1)
    return model.eval()


def published_state(model):
    """The model's tensors by their published names."""
    layout = "avclip" if isinstance(model, SegmentAVCLIP) else "sync"
    return to_published(model.state_dict(), model.config, layout)


def assert_same_model(found, expected):
    """Both are the same model; `found` is as `load_model` gives it."""
    assert type(found) is type(expected)
    assert found.config == expected.config
    assert not found.training
    assert list(found.state_dict()) == list(expected.state_dict())
    for name, value in found.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected.state_dict()[name].float()), name
    assert all(value.requires_grad for value in found.parameters())


def known_as(monkeypatch, name, config, *sources):
    """Put a tiny checkpoint into the table in place of the published one."""
    entry = replace(CHECKPOINTS[name], config=config, sources=tuple(sources))
    monkeypatch.setitem(CHECKPOINTS, name, entry)
    return entry


def source_of(url, content):
    return Source(url, hashlib.md5(content).hexdigest()[:7])
