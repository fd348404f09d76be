"""What scripts add to the tables of the report, in a browser: they are sorted, searched and copied; names stay text."""

import csv
import io

import pandas as pd
import pytest
from browser import Browser, needs_browser

from understudy.report.page import Cells, Section, page

NAMES = ["b, <img src=x onerror=alert(1)>", "a", "=1+1", "c", "d", '"e"']
DICE = ["0.90 ± 0.01", "0.10 ± 0.02", "–", "-0.50", "12.0", "< 0.001"]
SHOWN = "[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).map(r => r.cells[0].textContent)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    cells = Cells(pd.DataFrame({"name": NAMES, "Dice": DICE}))
    (folder / "report.html").write_text(page("t", [], [Section("a", "A", [cells])], []))
    with Browser(folder) as opened:
        yield opened, folder / "report.html"


@pytest.fixture
def table(browser):
    opened, path = browser
    opened.open(path, "!!document.querySelector('.tools')")
    return opened


@needs_browser
def test_a_click_on_a_head_sorts_by_value(table):
    table.click("th:nth-child(2) button")
    up = ["c", '"e"', "a", NAMES[0], "d", "=1+1"]  # a dash is last either way
    assert table.value(SHOWN) == up
    table.click("th:nth-child(2) button")
    assert table.value(SHOWN) == [*up[-2::-1], "=1+1"]
    assert table.value("document.querySelector('th:nth-child(2)').getAttribute('aria-sort')") == "descending"
    table.click("th:nth-child(1) button")
    assert table.value(SHOWN)[-4:] == ["a", NAMES[0], "c", "d"]


@needs_browser
def test_searching_leaves_the_rows_that_have_the_words(table):
    table.click("input[type=search]")
    table.type("0.0 A")
    assert table.value(SHOWN) == ["b, <img src=x onerror=alert(1)>", "a"]
    assert table.value("document.querySelector('[role=status]').textContent") == "2 of 6 rows"


@needs_browser
def test_what_is_copied_is_csv_of_the_rows_that_are_seen(table):
    table.click(".tools button")
    table.wait("document.querySelector('.tools button').textContent === 'Copied'")
    rows = list(csv.reader(io.StringIO(table.clipboard())))
    assert rows[0] == ["name", "Dice"]
    assert [name for name, _ in rows[1:]] == [NAMES[0], "a", "'=1+1", "c", "d", '"e"']
    assert [value for _, value in rows[1:]] == ["0.90 ± 0.01", "0.10 ± 0.02", "", "-0.50", "12.0", "< 0.001"]


@needs_browser
def test_names_stay_text_and_no_script_complains(table):
    assert table.value("document.images.length") == 0 and not table.complaints()
    assert table.requests() and all(url.startswith("file:") for url in table.requests())
