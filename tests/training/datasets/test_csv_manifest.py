"""Tables of videos: what is read of them, and what is said of rows that cannot be used."""

import pytest

from training.datasets.registry import DataPart, open_source, split_mixture


def manifest(folder, text, files=()):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    path = folder / "manifest.csv"
    path.write_text(text)
    return f"manifest:{path}"


def test_rows_become_samples_with_their_columns(tmp_path):
    text = "file,split,kind,source,source_video\na.mp4,train,speech,S1,v1\nb/c.mov,val,impact,S2,v2\n"
    source = open_source(manifest(tmp_path, text, ["a.mp4", "b/c.mov"]))
    first, second = source.entries
    assert (first.id, first.split, first.group, first.path) == ("a", "train", "v1", tmp_path / "a.mp4")
    assert (second.id, second.split, second.value("kind"), second.value("source")) == ("b/c", "valid", "impact", "S2")
    assert second.value("unheard of") == ""
    assert not source.left_out and not source.is_generated


def test_without_splits_a_recording_stays_in_one(tmp_path):
    names = [f"{video}_{second}_{second + 5}.mp4" for video in "abcdefghij" for second in (0, 5)]
    source = open_source(manifest(tmp_path, "file\n" + "\n".join(names), names))
    homes = {}
    for sample in source.entries:
        homes.setdefault(sample.group, set()).add(sample.split)
    assert len(homes) == 10 and all(len(home) == 1 for home in homes.values())


def test_what_cannot_be_used_is_left_out_with_a_reason(tmp_path):
    text = "file,split\na.mp4,train\na.mp4,train\ngone.mp4,train\nnotes.txt,train\nb.mp4,later\n\n"
    source = open_source(manifest(tmp_path, text, ["a.mp4", "b.mp4", "notes.txt"]))
    assert [sample.id for sample in source.entries] == ["a"]
    reasons = {item.id: item.reason for item in source.left_out}
    assert reasons["gone"] == "no file" and "no video file" in reasons["notes"]
    assert "listed twice" in reasons["a"] and "'later' is none of train, valid and test" in reasons["b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("name\na.mp4\n", "has no column file"), ("file\ngone.mp4\n", "(no file)"), ("file\n", "(it lists none)")],
)
def test_useless_tables_are_a_sentence(tmp_path, text, said):
    with pytest.raises(ValueError) as error:
        open_source(manifest(tmp_path, text))
    assert said in str(error.value)


def test_a_missing_table_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        open_source(f"manifest:{tmp_path / 'none.csv'}")


def test_mixtures_by_hand():
    assert split_mixture("folder:a,b=3") == (DataPart("folder:a,b=3"),), "a single name is taken as it is"
    parts = split_mixture("synthetic:0=1, folder:x,y=2,manifest:m=1.csv=1")
    assert parts == (DataPart("synthetic:0", 0.25), DataPart("folder:x,y", 0.5), DataPart("manifest:m=1.csv", 0.25))
    with pytest.raises(ValueError, match="is no data set"):
        split_mixture("synthetic:0=1,folder:=2")
