"""Learning curves show what the log says."""

import json

import numpy as np

from training import curves


def test_curves_show_the_log(tmp_path):
    (tmp_path / "sync").mkdir()
    rows = [{"step": 20 * i, "loss": 4.0, "cross_entropy": 3.0 - 0.1 * i, "chance": 3.045} for i in range(1, 8)]
    rows.append({"step": 140, "valid/acc1": 0.25, "valid/acc1_chance": 0.05, "valid/loss": 2.0})
    (tmp_path / "sync" / "log.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + '\n{"st')
    loss, valid = curves.draw(tmp_path).axes
    every, smooth, chance = loss.get_lines()
    assert list(every.get_xdata()) == [20, 40, 60, 80, 100, 120, 140]
    assert np.allclose(smooth.get_ydata(), [2.7, 2.6, 2.5]), "the mean of five"
    assert np.allclose(chance.get_ydata(), 3.045)
    assert smooth.get_label().startswith("cross_entropy"), "chance is said of it alone"
    assert [list(line.get_ydata()) for line in valid.get_lines()] == [[0.25], [0.05, 0.05]]


def test_stages_come_in_order_and_the_unimodal_start_has_two_losses(tmp_path):
    for stage in ("avclip", "unimodal"):
        (tmp_path / stage).mkdir()
        rows = [{"step": i, "loss": 2.0, "video": 0.5, "chance": float("nan")} for i in range(1, 7)]
        rows = [{**row, "audio": 0.25} if row["step"] % 2 else row for row in rows] if stage == "unimodal" else rows
        (tmp_path / stage / "log.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    axes = curves.draw(tmp_path).axes
    assert [each.get_title() for each in axes[::2]] == ["unimodal: loss", "avclip: loss"]
    every, smooth, heard = axes[0].get_lines()
    assert [list(line.get_xdata()) for line in (every, heard)] == [[1, 2, 3, 4, 5, 6], [1, 3, 5]]
    assert np.allclose(smooth.get_ydata(), 0.5)


def test_folder_without_a_run_is_a_sentence(tmp_path, capsys):
    assert curves.main([str(tmp_path), "--to", str(tmp_path / "curves.png")]) == 1
    assert "holds no log" in capsys.readouterr().err
