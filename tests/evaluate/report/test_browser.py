"""The page in a browser: nothing on the console, nothing wider than the window."""

import re
import shutil
import subprocess

import pytest

from evaluate.report.translations import LANGUAGES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

# A window of a given width is a frame: Chromium's own windows are at least 500 pixels wide.
FRAME = """<iframe src="report.html" width="{width}" height="900"
onload="const root = this.contentDocument.documentElement;
document.title = 'too wide by ' + (root.scrollWidth - root.clientWidth)"></iframe>"""


def browse(folder, width):
    """By how many pixels the page is wider than a window of ``width``, and what was printed on the
    console."""
    (folder / "frame.html").write_text(FRAME.format(width=width))
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}", "--dump-dom",
         (folder / "frame.html").as_uri()], capture_output=True, text=True)
    printed = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return int(re.search("<title>too wide by ([0-9]+)", done.stdout)[1]), printed


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [400, 1200])
def test_no_console_line_and_no_overflow(trial, write, lang, width):
    write(trial, lang=lang)
    assert browse(trial, width) == (0, [])


def test_a_wrong_page_is_noticed(tmp_path):
    (tmp_path / "report.html").write_text(
        '<body style="margin:0"><div style="width:800px">wide</div>'
        "<script>console.error('wrong')</script>")
    wide, printed = browse(tmp_path, 420)
    assert wide == 800 - 420 and "wrong" in printed[0]
