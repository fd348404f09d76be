"""The table of what is missing says what each run directory tells."""

import json

from understudy.report.missing import missing_trainings
from understudy.study.grid import Setting


def test_every_training_without_scores_is_listed_with_its_reason(tmp_path):
    results, runs = tmp_path / "results", tmp_path / "runs"
    setting = Setting("d", "unet", "real", "plain", 4)
    done, *_ = setting.files(str(results), "scores.csv")
    (results / "d/segmenters/unet/real/plain/repeat1").mkdir(parents=True)
    open(done, "w").close()
    for repeat, reason, message in ((2, "failed", "collapsed to background"), (3, "budget", "")):
        run = runs / f"d/segmenters/unet/real/plain/repeat{repeat}/0123"
        run.mkdir(parents=True)
        (run / "lock").touch()
        lines = [{"event": "start", "images_seen": 0}, {"event": "end", "images_seen": 480, "reason": reason}]
        lines[1] |= {"message": message} if message else {}
        (run / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (run / "progress.jsonl").write_text(json.dumps({"images_seen": 480, "images": 960}) + "\n")
    table = missing_trainings([setting], str(results), str(runs))
    assert list(table["repeat"]) == [2, 3, 4] and list(table["state"]) == ["failed", "stopped", "waiting"]
    assert table["why"].iloc[0] == "collapsed to background" and table["why"].iloc[2] == "not begun"
    assert table["images_seen"].iloc[0] == 480 and table["images_seen"].isna().iloc[2]
