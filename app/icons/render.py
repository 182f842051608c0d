"""Make the icons that phones want as PNG from the SVG files beside this one, in Chromium.

python app/icons/render.py
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
ICONS = {"icon-192.png": ("icon.svg", 192), "icon-512.png": ("icon.svg", 512)}
ICONS["maskable-512.png"] = ("maskable.svg", 512)

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
    )
    for png, (svg, size) in ICONS.items():
        page = browser.new_page(viewport={"width": size, "height": size})
        picture = (FOLDER / svg).read_text()
        page.set_content(f"<style>body{{margin:0}}svg{{display:block}}</style>{picture}")
        page.screenshot(path=FOLDER / png, omit_background=True)
    browser.close()
