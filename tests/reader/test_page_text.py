"""What is put into the page of a reader study stays what it is, whatever it holds; no browser is needed."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import understudy.reader
from understudy.reader.reader_names import FORBIDDEN, LONGEST, RESERVED
from understudy.reader.reading_page import page

ABOUT = {
    "study": "s",
    "ids": ["a"],
    "panels": ["</script><img src=x onerror=alert(1)>", "<!--IMAGES-->", "<!--SCRIPT-->"],
}


def test_titles_of_panels_are_no_tags_and_no_places_for_other_parts():
    text = page(ABOUT, [b"png"])
    assert "<img" not in text and text.count('id="image0"') == 1 and text.count("function canBeAName") == 1
    (data,) = re.findall(r'<script type="application/json" id="study">(.*?)</script>', text)
    assert json.loads(data) == ABOUT


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_the_page_refuses_the_names_that_would_be_refused_later():
    """Before somebody has answered all images."""
    script = (Path(understudy.reader.__file__).parent / "page/page.js").read_text()
    function = re.search(r"^function canBeAName.*?^}", script, re.MULTILINE | re.DOTALL)[0]
    names = ["Ada B", "Ärztin 2", "1", "O’Hara", *RESERVED, "=1", "<b>", "a\\b", "a/b", "a, b", "a\u202eb", "x" * 81]
    study = {"names": {"reserved": RESERVED, "forbidden": FORBIDDEN, "longest": LONGEST}}
    call = f"console.log(JSON.stringify({json.dumps(names)}.map(canBeAName)))"
    ask = f"const study = {json.dumps(study)}; {function}; {call}"
    done = subprocess.run(["node", "-e", ask], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [True] * 4 + [False] * (len(names) - 4)
