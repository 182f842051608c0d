"""The command `cardpose app`: count cards in the browser, or build the page for a web server."""

import argparse
import re
import webbrowser
from collections.abc import Iterable, Mapping
from pathlib import Path

from cardpose.cli.page_server import ADDRESS, PageServer, host_names
from cardpose.cli.shared import chosen_network
from cardpose.cli.site import build_site, read_site
from cardpose.common.errors import InputError, print_line
from cardpose.inference.networks import ONNX_NETWORK
from cardpose.inference.predictor import load

PORT = 5252


def add_app_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Count cards in the browser. Serve the page here, or build it for a web server."
    )
    parser.set_defaults(run=run_app, failed=1)
    add = parser.add_argument
    add(
        "--model",
        type=Path,
        metavar="FILE",
        help=f"ONNX file of the network (default: {ONNX_NETWORK}, or the one that comes with"
        " cardpose)",
    )
    add(
        "--port",
        type=int,
        default=PORT,
        help=f"port to listen on; 0 picks a free one (default: {PORT})",
    )
    add(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="additional host name to answer to, for a proxy or tunnel to this server; repeatable",
    )
    add("--no-browser", action="store_true", help="do not open a browser")
    add(
        "--build",
        type=Path,
        metavar="FOLDER",
        help="write the page into this folder, ready for upload, and serve nothing",
    )
    add("--force", action="store_true", help="let --build replace files that it did not write")


def run_app(chosen: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, or write it into a folder."""
    model = chosen.model or chosen_network(".onnx")
    files = read_site(model)
    load(model)  # report a broken network here, before a browser fails on it
    if chosen.build:
        build_site(chosen.build, files, chosen.force)
        print_line(f"{chosen.build}: upload this folder to any web server")
        return
    with site_server(files, chosen.port, chosen.host) as server:
        url = f"http://{ADDRESS}:{server.server_port}/"
        print_line(f"{url} (Ctrl+C stops)")
        if not chosen.no_browser:
            webbrowser.open(url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print_line("")


def site_server(
    files: Mapping[str, bytes], port: int = PORT, hosts: Iterable[str] = ()
) -> PageServer:
    """Return a server of these files, bound to a loopback port but not yet started.

    Args:
        files: {path: content}, from `read_site`.
        port: 0 picks a free one.
        hosts: additional host names to answer to.

    Raises:
        InputError: the port is taken or not permitted, or a host name is malformed.
    """
    policy = re.search(rb'Content-Security-Policy"\s+content="([^"]+)"', files["index.html"])
    if policy is None:
        raise ValueError("index.html should set a Content-Security-Policy")
    headers = {
        # Workers follow the policy in their own headers, not the one in the page. Only a header
        # can keep other pages from framing this one.
        "Content-Security-Policy": f"{policy[1].decode()}; frame-ancestors 'none'",
        # Threads need shared memory, which browsers allow only with these two headers.
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    names = host_names(hosts)
    try:
        return PageServer(files, headers, port, names)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "there is no such port"
        raise InputError(f"port {port}: {why}; choose another with --port") from None
