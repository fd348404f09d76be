"""A study that is a rehearsal says so on top of its page and of every table."""

import yaml
from invented import Invented

from understudy.config.study import REHEARSAL


def test_page_and_tables_say_that_it_is_no_result(tmp_path):
    study = Invented(tmp_path, repeats=2, subjects=6)
    asked = yaml.safe_load(study.config.read_text())
    study.config.write_text(yaml.safe_dump({**asked, "rehearsal": True}, sort_keys=False))
    page = study.make()
    assert page.index(REHEARSAL) < page.index("<h1>") < page.index('class="choice"')
    for name in ("dice", "equivalence", "hausdorff", "generators"):
        assert (study.results / f"tables/{name}.md").read_text().startswith(REHEARSAL)
        assert (study.results / f"tables/{name}.tex").read_text().startswith(f"% {REHEARSAL}")
        assert "rehearsal" not in (study.results / f"tables/{name}.csv").read_text()
    study.config.write_text(yaml.safe_dump(asked, sort_keys=False))
    assert REHEARSAL not in study.make()
