"""One interface for clips that crops are read of, and one for data sets: nobody tells either apart by their classes."""

import ast

import pytest

from tests.support.paths import ROOT
from training.readers.base import CropReader, WholeClips
from training.readers.feature_cache import FeatureCache
from training.readers.rendered import RenderedClips, Renderer
from training.readers.video_files import VideoFiles
from training.sampling.clips import Clips, SceneClips

TREES = {path.relative_to(ROOT): ast.parse(path.read_text()) for path in sorted(ROOT.glob("training/**/*.py"))}
OWN = {node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def names_in(node):
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)
    }


def asks_for_our_class(node):
    """`isinstance(x, Ours)`, `issubclass(x, Ours)`, `type(x) is Ours`, `case Ours():`"""
    match node:
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
            return bool(names_in(kinds) & OWN)
        case ast.Compare(left=ast.Call(func=ast.Name(id="type")), comparators=kinds):
            return any(names_in(kind) & OWN for kind in kinds)
        case ast.MatchClass(cls=kind):
            return bool(names_in(kind) & OWN)
    return False


def asks_whether_there_is_one(node):
    """`getattr(x, name, default)`, `hasattr(x, name)`"""
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[_, _, _]) | ast.Call(func=ast.Name(id="hasattr")):
            return True
    return False


@pytest.mark.parametrize("asks", [asks_for_our_class, asks_whether_there_is_one])
def test_nothing_of_ours_is_told_apart_by_its_class(asks):
    places = [f"{path}:{node.lineno}" for path, tree in TREES.items() for node in ast.walk(tree) if asks(node)]
    assert not places, "give what is asked for a place on the interface"


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ("isinstance(x, (int, CropReader))", asks_for_our_class),
        ("isinstance(x, base.CropReader | None)", asks_for_our_class),
        ("type(x) is CropReader", asks_for_our_class),
        ("match x:\n  case CropReader(): pass", asks_for_our_class),
        ("getattr(x, 'scenes', None)", asks_whether_there_is_one),
        ("hasattr(x, 'scenes')", asks_whether_there_is_one),
    ],
)
def test_asking_is_noticed(code, asks):
    assert any(asks(node) for node in ast.walk(ast.parse(code)))
    assert not any(asks(node) for node in ast.walk(ast.parse("isinstance(x, int) and type(x) is str")))


@pytest.mark.parametrize(
    ("interface", "kinds"),
    [
        (Clips, [SceneClips, Renderer, VideoFiles, RenderedClips, FeatureCache]),
        (WholeClips, [Renderer, VideoFiles]),
        (CropReader, [VideoFiles, RenderedClips, FeatureCache]),
    ],
)
def test_who_implements_what(interface, kinds):
    for kind in kinds:
        assert issubclass(kind, interface)
        assert not kind.__abstractmethods__
