"""A headless Chromium that is clicked and typed into through its DevTools protocol, over a pipe: nothing but the
standard library, no port, no network."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; on Debian: apt-get install chromium")
OFFLINE = ["--proxy-server=127.0.0.1:9", "--disable-background-networking", "--disable-component-update"]
SECONDS = 60
KEYS = {"Backspace": 8, " ": 32, "Enter": 13}


class Browser:
    """One window with one page. `folder` gets the profile, which keeps localStorage for the next one, and downloads."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 900, touch: bool = False, scale: float = 1):
        self.downloads = folder / "downloads"
        self._number, self._left, self.events = 0, b"", []
        self._start(folder / "profile")
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": touch}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        if touch:
            self.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)
            self.call("Emulation.setEmitTouchEventsForMouse", enabled=False)
        self._call(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True
        )

    def _start(self, profile: Path) -> None:
        to_browser, from_browser = os.pipe(), os.pipe()
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (to_browser[0], from_browser[1])]
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", *OFFLINE]
        command += [f"--user-data-dir={profile}", "--no-first-run", "about:blank"]
        quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
        pipes = [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in zip(ends, (3, 4), strict=True)]
        self._process = os.posix_spawn(CHROMIUM, command, os.environ, file_actions=[*quiet, *pipes], setsid=True)
        for fd in (*ends, to_browser[0], from_browser[1]):
            os.close(fd)
        self._write, self._read = to_browser[1], from_browser[0]

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error) -> None:
        with suppress(OSError, TimeoutError, RuntimeError):
            self._call("Browser.close")
        ends = time.monotonic() + 10
        while os.waitpid(self._process, os.WNOHANG)[0] == 0:
            if time.monotonic() > ends:
                os.killpg(self._process, signal.SIGKILL)
            time.sleep(0.05)
        os.close(self._write)
        os.close(self._read)

    # ---- the protocol ------------------------------------------------------------------------------------------------
    def call(self, method: str, **parameters) -> dict:
        """A command to the page; its answer. Raises RuntimeError where Chromium refuses it."""
        return self._call(method, self._session, **parameters)

    def _call(self, method: str, session: str | None = None, **parameters) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _message(self) -> dict:
        while b"\0" not in self._left:
            if not select.select([self._read], [], [], SECONDS)[0]:
                raise TimeoutError("Chromium says nothing")
            more = os.read(self._read, 1 << 20)
            if not more:
                raise RuntimeError("Chromium has ended")
            self._left += more
        one, _, self._left = self._left.partition(b"\0")
        return json.loads(one)

    # ---- the page ----------------------------------------------------------------------------------------------------
    def open(self, page: Path, ready: str = "typeof study === 'object'") -> None:
        self.call("Page.navigate", url=page.as_uri())
        self.wait(f"location.protocol === 'file:' && document.readyState === 'complete' && {ready}")

    def reload(self) -> None:
        self.value("window.old = true")
        self.call("Page.reload")
        self.wait("!window.old && document.readyState === 'complete' && typeof study === 'object'")

    def value(self, script: str):
        """Of a JavaScript expression. Raises RuntimeError where it throws."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def wait(self, script: str) -> None:
        ends = time.monotonic() + SECONDS
        while True:
            with suppress(RuntimeError):  # between two pages there is none to ask
                if self.value(script):
                    return
            if time.monotonic() > ends:
                raise TimeoutError(f"never true: {script}")
            time.sleep(0.02)

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of an element that can be seen and is not covered by another one."""
        found = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'nearest'});"
            "const b = e.getBoundingClientRect(), x = b.x + b.width / 2, y = b.y + b.height / 2;"
            "return [x, y, e.contains(document.elementFromPoint(x, y))] })()"
        )
        assert found and found[2], f"{selector}: cannot be clicked at {found}"
        return found[0], found[1]

    def click(self, selector: str) -> None:
        x, y = self.place(selector)
        self.drag((x, y), (x, y))

    def drag(self, start: tuple, end: tuple, modifiers: int = 0) -> None:
        """With the left button; modifiers 8 is Shift."""
        about = {"button": "left", "clickCount": 1, "modifiers": modifiers}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=start[0], y=start[1], modifiers=modifiers)
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **about)
        if end != start:
            move = {"buttons": 1, "button": "left", "modifiers": modifiers}
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=end[0], y=end[1], **move)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **about)

    def wheel(self, x: float, y: float, down: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=down)

    def press(self, key: str) -> None:
        code = {"windowsVirtualKeyCode": KEYS.get(key, ord(key[0]))}
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def touch(self, *moments: list[tuple[float, float]]) -> None:
        """Fingers at these places, from one moment to the next; then all are lifted."""
        for number, fingers in enumerate(moments):
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
            self.call("Input.dispatchTouchEvent", type="touchMove" if number else "touchStart", touchPoints=points)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def tap(self, selector: str) -> None:
        self.touch([self.place(selector)])

    def clipboard(self) -> str:
        """What the page has copied."""
        self._call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        self.call("Page.bringToFront")
        return self.value("navigator.clipboard.readText()")

    def choose(self, selector: str, file: Path) -> None:
        """Puts a file into a file input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def downloaded(self) -> Path:
        """The one file that was saved, once it is whole."""
        ends = time.monotonic() + SECONDS
        while not (found := [p for p in self.downloads.glob("*.json") if p.stat().st_size]):
            self.value("0")
            assert time.monotonic() < ends, "nothing was saved"
            time.sleep(0.05)
        (file,) = found
        return file

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def requests(self) -> list[str]:
        """Addresses that the page has asked for."""
        asked = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith(("data:", "blob:"))]

    def complaints(self) -> list[str]:
        """What went wrong in its scripts."""
        kinds = ("Runtime.exceptionThrown",)
        return [json.dumps(e["params"])[:500] for e in self.events if e.get("method") in kinds]
