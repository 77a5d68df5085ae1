"""Published lists and tables in small: which clips stay, which are left out and why, and where their crops lie."""

import pytest

from training.datasets.published_lists import read_fixed, read_sparse_classes
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import LeftOut, Place, count_reasons

TABLE = "test_size21_crop5_min-2.00_max2.00.csv"
GOLF, RAIN, BALL, MUTE = (
    "AAAAAAAAAAA_0_10000",
    "BBBBBBBBBBB_1000_11000",
    "CCCCCCCCCCC_58000_68000",
    "DDDDDDDDDDD_0_10000",
)


def put(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def lists(tmp_path):
    folder = tmp_path / "lists"
    put(
        folder,
        {
            "vggsound_train.txt": "ZZZZZZZZZZZ_0_10000\n",
            "vggsound_test.txt": f"{GOLF}\n{RAIN}\n{BALL}\n{MUTE}\n\n",
            "vggsound.csv": (
                'AAAAAAAAAAA,0,"golf driving",test\nBBBBBBBBBBB,1,"raining",test\n'
                'CCCCCCCCCCC,58,"playing tennis, hard",test\nDDDDDDDDDDD,0,"golf driving",test\n'
                'ZZZZZZZZZZZ,0,"raining",train\n'
            ),
            "picked_sparse_classes.csv": "class\tis_sparse\nraining\tn\ngolf driving\ty\nplaying tennis, hard\ty\n",
            "filtered_examples_vggsound/manual.txt": f"{MUTE}\n",
            f"fixed_offsets_vggsound/{TABLE}": f"path,offset_sec,vstart_sec\n{GOLF},0.4,3.44\n{RAIN},-1.6,4.6\n",
            "vggsound_sparse_clean_fixed_offsets.csv": (
                "dataset_name,video_id,vstart_sec,offset_sec,is_sync\n"
                f"vggsound_sparse,{GOLF},4.64,-1.0,1\nvggsound_sparse,{BALL},0.12,1.2,0\n"
            ),
        },
    )
    return folder


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    put(folder, {f"{name}.mp4": "" for name in (GOLF, RAIN, MUTE, "stranger")})
    return folder


def opened(kind, videos, lists):
    return open_source(f"{kind}:{videos}", SourceOptions(annotations=lists))


def test_vggsound(videos, lists):
    source = opened("vggsound", videos, lists)
    golf, rain = source.samples("test")
    assert (golf.id, golf.labels, golf.fixed) == (GOLF, ("golf driving",), Place(start=3.44, offset=0.4))
    assert rain.fixed == Place(start=4.6, offset=-1.6)
    assert golf.group == "AAAAAAAAAAA"
    assert set(source.left_out) == {
        LeftOut("ZZZZZZZZZZZ_0_10000", "train", "no file"),
        LeftOut(BALL, "test", "no file"),
        LeftOut(MUTE, "test", "filtered out by manual.txt"),
        LeftOut("stranger", None, "in no list of this data set"),
    }
    assert count_reasons(source.left_out)["no file"] == 2


def test_sparse_has_its_classes_and_no_fixed_places(videos, lists):
    source = opened("vggsound-sparse", videos, lists)
    assert [(sample.id, sample.fixed) for sample in source.samples("test")] == [(GOLF, None)]
    assert LeftOut(RAIN, "test", "not of a sparse class") in source.left_out
    assert read_sparse_classes(lists) == {"golf driving", "playing tennis, hard"}


def test_clean_keeps_what_is_in_sync(videos, lists):
    source = opened("vggsound-sparse-clean", videos, lists)
    assert [(sample.id, sample.fixed) for sample in source.samples("test")] == [(GOLF, Place(4.64, -1.0))]
    assert LeftOut(BALL, "test", "annotated as not synchronizable") in source.left_out


def test_lrs3(tmp_path):
    put(
        tmp_path / "lists",
        {
            "lrs3_train.txt": "pretrain/ccc/00001\n",
            "lrs3_test.txt": "pretrain/aaa/00002\npretrain/aaa/00004\n",
            "filtered_examples_lrs/short.txt": "pretrain/aaa/00004.mp4\n",
            f"fixed_offsets_lrs3/{TABLE}": "path,offset_sec,vstart_sec\npretrain/aaa/00002,0.2,2.96\n",
        },
    )
    put(tmp_path / "lrs3", {"pretrain/aaa/00002.mp4": "", "pretrain/aaa/00004.mp4": "", "pretrain/ccc/00001.mp4": ""})
    source = opened("lrs3", tmp_path / "lrs3", tmp_path / "lists")
    (test,) = source.samples("test")
    assert (test.group, test.fixed) == ("pretrain/aaa", Place(2.96, 0.2))
    assert source.samples("train")[0].fixed is None
    assert count_reasons(source.left_out) == {"filtered out by short.txt": 1}


@pytest.mark.parametrize("listed", [True, False])
def test_audioset(tmp_path, listed):
    put(
        tmp_path / "lists",
        {
            "audioset_labels.csv": '0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man speaking"\n',
            "filtered_examples_audioset/short.txt": "unbalanced_train_segments/BBBBBBBBBBB_0_7000\n",
            f"fixed_offsets_audioset/{TABLE}": "path,offset_sec,vstart_sec\neval/AAAAAAAAAAA_0_10000,-1.4,4.92\n",
        },
    )
    if listed:
        rows = 'eval/AAAAAAAAAAA,0.000,10.000,"0,1",eval\nunbalanced/BBBBBBBBBBB,0.000,7.000,"1",train\n'
        put(tmp_path / "lists", {"audioset.csv": rows})
    names = ("eval_segments/AAAAAAAAAAA_0_10000", "unbalanced_train_segments/BBBBBBBBBBB_0_7000")
    put(tmp_path / "audioset", {f"{name}.mp4": "" for name in names})
    source = opened("audioset", tmp_path / "audioset", tmp_path / "lists")
    (test,) = source.samples("test")
    assert test.fixed == Place(4.92, -1.4)
    assert test.labels == (("Speech", "Male speech, man speaking") if listed else ())
    assert [item.reason for item in source.left_out] == ["filtered out by short.txt"]


def test_tables_that_disagree_are_a_sentence(lists):
    put(
        lists, {f"fixed_offsets_vggsound/{TABLE.replace('test', 'valid')}": f"path,offset_sec,vstart_sec\n{GOLF},1,1\n"}
    )
    with pytest.raises(ValueError, match=f"two different offsets for {GOLF}"):
        read_fixed(lists, "vggsound")


def test_missing_annotations_are_a_sentence(videos, lists, tmp_path):
    with pytest.raises(ValueError, match="--annotations DIR, not nothing"):
        open_source(f"vggsound:{videos}")
    with pytest.raises(ValueError, match=r"holds none of lrs3_train\.txt"):
        opened("lrs3", videos, lists)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"none of the 5 clips that the lists name \(0 videos found"):
        opened("vggsound", tmp_path / "empty", lists)
    (lists / "vggsound.csv").unlink()
    with pytest.raises(ValueError, match=r"holds no vggsound\.csv"):
        opened("vggsound-sparse", videos, lists)
    put(lists, {f"fixed_offsets_vggsound/{TABLE}": "path,offset\n"})
    with pytest.raises(ValueError, match="has no column offset_sec and vstart_sec"):
        opened("vggsound", videos, lists)
