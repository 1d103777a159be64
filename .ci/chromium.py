"""A headless Chromium for checks, driven over WebDriver with nothing but Python's own library.

    with Browser() as browser:
        browser.open("http://127.0.0.1:9470/")
        assert browser.script("return document.title") == "Cipherwatt live"
        assert browser.errors() == []

Chromium and ChromeDriver are Debian's packages `chromium` and `chromium-driver`; they are installed if they are missing.
"""

import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}
# No sandbox: CI runs as root. The others keep a browser from talking to anybody but the page.
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
# The key that WebDriver calls by these code points.
TAB, ENTER, DOWN = "\ue004", "\ue007", "\ue015"


def ensure():
    """Installs what is missing, or ends with an error that names it."""
    missing = [package for tool, package in PACKAGES.items() if not shutil.which(tool)]
    if not missing:
        return
    apt = shutil.which("apt-get")
    if not apt or os.geteuid() != 0:
        sys.exit(f"missing tool: {' and '.join(missing)} (Debian: apt install {' '.join(missing)})")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([apt, "update", "-qq"], check=True, env=environment, stdout=sys.stderr)
    subprocess.run(
        [apt, "install", "-y", "-qq", "--no-install-recommends", *missing], check=True, env=environment, stdout=sys.stderr
    )


def free_port():
    """A port of loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait(what, condition, limit=30.0, every=0.1):
    """The first true value of `condition`, or an error that says what did not come."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit:g} s: {what}")
        time.sleep(every)


class Browser:
    """One window of a browser with a profile of its own."""

    def __init__(self, width=1280, height=900):
        ensure()
        self.size = (width, height)

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self.port = free_port()
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={self.port}", "--log-level=WARNING"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait("chromedriver answers", self._ready)
            options = {
                "binary": shutil.which("chromium"),
                "args": [*FLAGS, f"--user-data-dir={self.profile.name}", f"--window-size={self.size[0]},{self.size[1]}"],
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            self.session = None
            self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            self.viewport(*self.size)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if getattr(self, "session", None):
            try:
                self._call("DELETE", f"/session/{self.session}")
            except (OSError, RuntimeError):
                pass
        self.driver.terminate()
        self.driver.wait()
        self.profile.cleanup()

    def _ready(self):
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            problem = json.load(error)["value"]
            raise RuntimeError(f"{method} {path}: {problem['error']}: {problem['message'].splitlines()[0]}") from None

    def call(self, path, body=None, method="POST"):
        """A WebDriver command of this session."""
        return self._call(method, f"/session/{self.session}{path}", {} if body is None and method == "POST" else body)

    def devtools(self, command, **parameters):
        """A command of the DevTools protocol."""
        return self.call("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        """Opens an address and waits until it is loaded."""
        self.call("/url", {"url": str(url)})

    def script(self, code, *arguments):
        """What the body of a function returns in the page."""
        return self.call("/execute/sync", {"script": code, "args": list(arguments)})

    def text(self, selector):
        """The text of the first element, as it is in the document."""
        return self.script("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def wait(self, what, code, *arguments, limit=30.0):
        """The first true value of a script."""
        return wait(what, lambda: self.script(code, *arguments), limit)

    def press(self, key):
        """A key, down and up."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.call("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def viewport(self, width, height, mobile=False):
        """The size of the page in CSS pixels."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def media(self, **features):
        """Media features such as prefers_color_scheme="dark"; those not named are the browser's own."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.devtools("Emulation.setEmulatedMedia", features=named)

    def errors(self):
        """What was logged as an error since the last call."""
        return [entry["message"] for entry in self.call("/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def screenshot(self, path, whole=True):
        """The page, all of it unless told otherwise, as a PNG file."""
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def overflow(self):
        """Pixels by which the page is wider than its window."""
        return self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def contrasts(self, *selectors):
        """The contrast of text and what is behind it (WCAG 2), for each visible element of each selector, lowest first."""
        return sorted(self.script(CONTRASTS, list(selectors)), key=lambda found: found["ratio"])


CONTRASTS = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = ([r, g, b]) => {
  const linear = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return rgb(getComputedStyle(document.documentElement).colorScheme.includes("dark") &&
    matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff");
};
return arguments[0].flatMap((selector) => [...document.querySelectorAll(selector)]
  .filter((element) => element.getClientRects().length > 0 && element.textContent.trim() !== "")
  .map((element) => {
    const [text, ground] = [luminance(rgb(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    return { selector, text: element.textContent.trim().slice(0, 40), ratio };
  }));
"""
