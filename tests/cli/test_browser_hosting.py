"""The page in a real browser, from its own server, from other servers, and offline."""

import shutil
import socket
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import pytest
from browser_page import plain, running, show, state, without_packages

from cardpose.cli.app import site_server
from cardpose.cli.site import APP, NETWORK, build_site, read_site


def test_threads_are_used_where_the_server_allows_them(visit, url):
    assert visit(url).evaluate("crossOriginIsolated")


class SubPath(SimpleHTTPRequestHandler):
    """A plain web server, which sends none of the headers that threads need."""

    def log_message(self, *_):
        pass


def test_a_built_page_works_in_a_subpath_and_offline(visit, files, tmp_path):
    build_site(tmp_path / "host/cards/page", files)
    (tmp_path / "host/cards/page/docs").mkdir()
    manual = "<title>Manual</title><link rel=icon href=data:,>"
    (tmp_path / "host/cards/page/docs/index.html").write_text(manual)
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(SubPath, directory=tmp_path / "host"))
    with running(host) as url:
        page = visit(url + "cards/page/", service_workers="allow")
        assert not page.evaluate("crossOriginIsolated")
        show(page, "packet.png", plain(150, 200, 60))
        state(page, "sure")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.goto(url + "cards/page/docs/")
        assert page.title() == "Manual"  # the page keeps to its own files
    page.goto(url + "cards/page/index.html")
    assert page.evaluate("crossOriginIsolated")  # the page's own worker sends the headers
    show(page, "packet.png", plain(200, 200, 60))
    state(page, "sure")
    assert page.inner_text("#count") == str(round(52 * 200 / 255))


def test_a_host_may_let_the_browser_decompress_the_network(visit, model, files):
    with running(site_server({**files, NETWORK: model.read_bytes()}, 0)) as url:
        page = visit(url)
        show(page, "packet.png", plain(150, 200, 60))
        state(page, "sure")


def test_a_new_version_replaces_the_old_one(visit, model, files, tmp_path):
    served = dict(files)
    with running(site_server(served, 0)) as url:
        page = visit(url, service_workers="allow")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.reload()
        [old] = page.evaluate("caches.keys()")
        shutil.copytree(APP, tmp_path / "app", symlinks=True, ignore=without_packages)
        (tmp_path / "app/node_modules").symlink_to(APP / "node_modules")
        style = tmp_path / "app/style.css"
        style.write_text(style.read_text() + "\nbody { --new: 1; }\n")
        served.update(read_site(model, tmp_path / "app"))
        # During counting the new version waits for a click.
        show(page, "packet.png", plain(150, 200, 60))
        state(page, "sure")
        page.evaluate("navigator.serviceWorker.getRegistration().then((r) => r.update())")
        with page.expect_navigation():
            page.click("#renew")
        page.wait_for_function(
            "() => getComputedStyle(document.body).getPropertyValue('--new') === '1'"
        )
        page.wait_for_function("() => caches.keys().then((names) => names.length === 1)")
        assert page.evaluate("caches.keys()") != [old]


def test_the_page_cannot_fetch_from_other_hosts(visit, url):
    page = visit(url)
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}/"
        refused = page.evaluate("url => fetch(url).catch((e) => String(e))", elsewhere)
    assert "Failed to fetch" in refused
    assert any("Content Security Policy" in error for error in page.errors)
    page.errors.clear()


def test_a_rebound_host_name_is_refused(browser, url):
    port = url.rstrip("/").rpartition(":")[2]
    with browser.new_page() as page:
        assert page.goto(f"http://localhost:{port}/").status == 200
        assert page.goto(f"http://evil.example:{port}/cardpose.onnx.gz").status == 421


def test_the_server_sends_the_headers_for_threads_and_policies(files):
    with running(site_server(files, 0)) as url:
        for path, kind in [
            ("", "text/html; charset=utf-8"),
            ("ort/ort-wasm-simd-threaded.wasm.zst", "application/zstd"),
            ("ort/ort.wasm.min.mjs", "text/javascript; charset=utf-8"),
            ("manifest.webmanifest", "application/manifest+json"),
        ]:
            with urlopen(url + path) as response:
                headers = response.headers
                assert headers["Content-Type"] == kind
                assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                assert headers["Content-Security-Policy"].startswith("default-src 'self';")
                assert len(response.read()) == int(headers["Content-Length"])
        with pytest.raises(OSError, match="404"):
            urlopen(url + "%2e%2e/pyproject.toml")
