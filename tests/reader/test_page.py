"""The page in a real browser: clicked, typed and touched through to the end; what comes out is what was put in."""

import json
import math

import pandas as pd
import pytest
from browser import Browser, needs_browser
from built import reader_tables

from understudy.reader.answers import read_answers

pytestmark = needs_browser
READY = "!document.querySelector('#reading').hidden && since !== null && performance.now() - since > SETTLE_MS"


def script_of(key: dict) -> dict[str, tuple[str, int]]:
    """id -> call and confidence: a reader who is right about real images 3 times in 4, about generators' 5 in 8."""
    seen, script = {}, {}
    for image in key["images"]:
        number = seen[image["source"]] = seen.get(image["source"], -1) + 1
        right = number % 4 != 0 if image["source"] == "real" else number % 8 < 5
        script[image["id"]] = "real" if (image["source"] == "real") == right else "synthetic", 1 + number % 3
    return script


def shown(browser: Browser) -> str:
    browser.wait(READY)
    return browser.value("study.ids[place]")


def answer(browser: Browser, call: str, confidence: int, how: str) -> None:
    """By mouse, key or finger."""
    before = browser.value("place")
    selector = f'.{call} button[data-confidence="{confidence}"]'
    if how == "key":
        browser.press(str(4 - confidence if call == "real" else 3 + confidence))
    else:
        getattr(browser, how)(selector)
    browser.wait(f"place !== {before}")


def begin(browser: Browser, page, reader: str, how: str = "click") -> None:
    browser.open(page)
    getattr(browser, how)("#reader")
    browser.type(reader)
    getattr(browser, how)("#begin .main")


def test_a_reader_answers_reloads_goes_on_and_saves(study, tmp_path):
    folder, key = study
    script = script_of(key)
    with Browser(tmp_path) as browser:
        begin(browser, folder / "page.html", "Reader One")
        for number in range(24):
            if number == 9:
                browser.reload()
                assert "Go on as Reader One: 9 of 24" in browser.value("document.querySelector('#earlier').innerText")
                browser.click("#earlier button")
            one = shown(browser)
            assert one == key["images"][number]["id"]
            assert browser.value("document.querySelector('#count').innerText") == f"{number + 1} of 24"
            answer(browser, *script[one], "click" if number % 2 else "key")
        browser.wait("!document.querySelector('#done').hidden")
        browser.click("#export")
        saved = browser.downloaded()
        assert browser.requests() == [(folder / "page.html").as_uri()] * 2 and not browser.complaints()
    assert saved.name == f"answers-{key['study']}-Reader_One.json"
    given = json.loads(saved.read_text())
    assert {a["id"]: (a["call"], a["confidence"]) for a in given["answers"]} == script
    assert all(0.15 < a["seconds"] < 60 for a in given["answers"])

    tables = reader_tables(read_answers([saved], {key["study"]: key}), {})
    calls = tables["readers"].set_index("image_type")
    assert calls["classified_real"].to_dict() == {"real": 6, "stylegan2": 3, "diffusion": 3}
    assert calls["classified_synthetic"].to_dict() == {"real": 2, "stylegan2": 5, "diffusion": 5}
    (summary,) = tables["reader_summary"].to_dict("records")
    assert summary["balanced_accuracy"] == pytest.approx((6 / 8 + 10 / 16) / 2) and summary["missing"] == 0


def test_pause_correct_save_and_go_on_elsewhere(study, tmp_path):
    folder, key = study
    with Browser(tmp_path / "here") as browser:
        begin(browser, folder / "page.html", "A")
        first = shown(browser)
        answer(browser, "real", 3, "key")
        second = shown(browser)
        browser.press("Backspace")
        browser.wait("place === 0")
        assert browser.value("document.querySelector('[aria-pressed=true]').dataset.call") == "real"
        assert browser.value("document.querySelector('#back').disabled")
        shown(browser)
        answer(browser, "synthetic", 1, "click")
        assert shown(browser) == second
        browser.press(" ")
        browser.wait("!document.querySelector('#paused').hidden")
        browser.value("new Promise(done => setTimeout(done, 1500))")
        browser.press("5")  # nothing is shown, nothing is answered
        browser.click("#paused .save")
        saved = browser.downloaded()
        browser.click("#resume")
        assert shown(browser) == second
        answer(browser, "real", 2, "click")
        record = browser.value("record.answers")
        assert record[first] | {"seconds": 0} == {"call": "synthetic", "confidence": 1, "seconds": 0, "changed": 1}
        assert record[second]["seconds"] < 1.5  # without the pause
        assert not browser.complaints()
    with Browser(tmp_path / "elsewhere") as browser:
        browser.open(folder / "page.html")
        assert browser.value("document.querySelector('#earlier').children.length") == 0
        browser.choose("#import", saved)
        assert shown(browser) == second
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**json.loads(saved.read_text()), "study": "0" * 16}))
        browser.reload()
        browser.choose("#import", other)
        browser.wait("!document.querySelector('#complaint').hidden")
        assert "another page" in browser.value("document.querySelector('#complaint').innerText")


def test_window_level_and_zoom_by_mouse_and_keys(study, tmp_path):
    folder, _ = study
    with Browser(tmp_path) as browser:
        begin(browser, folder / "page.html", "A")
        shown(browser)
        pixels = "panels[0].getContext('2d').getImageData(0, 0, study.width, study.height).data"
        grey = f"[...{pixels}].filter((_, i) => i % 4 == 0)"
        before = browser.value(grey)
        x, y = browser.place(".panel")
        browser.drag((x, y), (x - 120, y - 40))
        assert browser.value("[view.window, view.level]") == [70, 60]
        after = browser.value(grey)
        low = 2.55 * 60 - 2.55 * 70 / 2
        expected = [min(255, max(0, 255 * (g - low) / (2.55 * 70))) for g in before]
        assert max(abs(a - b) for a, b in zip(after, expected, strict=True)) <= 1
        browser.wheel(x, y, -200)
        browser.wait("view.zoom > 1.5")
        browser.press("+")
        left = browser.value("view.x")
        browser.drag((x, y), (x + 30, y), modifiers=8)
        assert browser.value("view.x") > left and browser.value("view.window") == 70
        assert len(set(browser.value("panels.map(p => p.style.transform)"))) == 1
        browser.press("0")
        assert browser.value("view") == {"window": 100, "level": 50, "zoom": 1, "x": 0, "y": 0}
        assert browser.value(grey) == before and not browser.complaints()


@pytest.mark.parametrize(("width", "height"), [(820, 1180), (1180, 820), (390, 844)], ids=["tablet", "lying", "phone"])
def test_fingers_are_enough(study, tmp_path, width, height):
    folder, key = study
    script = script_of(key)
    with Browser(tmp_path, width, height, touch=True, scale=2) as browser:
        begin(browser, folder / "page.html", "A", "tap")
        first = shown(browser)
        box = browser.value(
            "(b => [b.x, b.y, b.width, b.height])(document.querySelector('.panel').getBoundingClientRect())"
        )
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        browser.touch([(x - 20, y), (x + 20, y)], [(x - 40, y), (x + 40, y)])
        zoom = browser.value("view.zoom")
        assert zoom == pytest.approx(2, rel=0.05)
        left = browser.value("view.x")
        browser.touch([(x, y)], [(x + 15, y)])
        assert browser.value("view.x") > left and browser.value("view.window") == 100
        x, y = browser.place("#window")
        browser.touch([(x, y)])
        browser.wait("view.window < 70")
        answer(browser, *script[first], "tap")
        assert shown(browser) == key["images"][1]["id"]
        assert browser.value("view.zoom") == 1  # every image begins alike
        inside = (
            "[...document.querySelectorAll('#reading button, .panel')].map(e => e.getBoundingClientRect()).every(b =>"
            "b.x >= 0 && b.y >= 0 && b.right <= innerWidth && b.bottom <= innerHeight && b.width >= 34 &&"
            "b.height >= 34)"
        )
        assert browser.value(inside)
        assert browser.value("document.documentElement.scrollWidth") <= width
        sides = browser.value("[...document.querySelectorAll('.panel')].map(e => e.getBoundingClientRect().width)")
        assert math.isclose(min(sides), max(sides)) and min(sides) > 0.35 * min(width, height)
        assert not browser.complaints()


def test_the_page_shows_the_pixels_that_it_was_given(study, tmp_path):
    """Through PNG, canvas and window, to the last bit: 64 even steps."""
    folder, _ = study
    with Browser(tmp_path) as browser:
        begin(browser, folder / "page.html", "A")
        shown(browser)
        levels = pd.Series(browser.value("[...grey]")).unique()
        assert set(levels) <= {int(255 * k / 63 + 0.5) for k in range(64)} and len(levels) > 30
