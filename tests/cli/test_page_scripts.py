"""The page's scripts are requested together, and the network's download first."""

import re

from cardpose.cli.site import APP


def imports(name):
    """The scripts that a script imports, and those that these import."""
    found = set()
    for path in re.findall(r'^(?:import|\} from) .*?"\./([\w-]+\.js)"', source(name), re.MULTILINE):
        found |= {path} | imports(path)
    return found


def source(name):
    return (APP / name).read_text(encoding="utf-8")


def test_all_scripts_are_requested_before_any_has_arrived():
    page = source("index.html")
    preloaded = re.findall(r'rel="modulepreload" href="([\w-]+\.js)"', page)
    assert sorted(preloaded) == sorted(imports("page.js") - {"counter.js"})


def test_the_download_of_the_network_waits_for_two_scripts_only():
    scripts = re.findall(r'(?:src|href)="([\w-]+\.js)"', source("index.html"))
    assert scripts[:2] == ["counter.js", *imports("counter.js")]
