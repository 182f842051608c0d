"""A package imports only from layers below its own, and never from another of its layer."""

import grimp
import pytest

LAYERS = (
    grimp.Layer("cli"),
    grimp.Layer(
        "training",
        "evaluation",
        "inference",
        "labelling",
        "checking",
        "rendering",
        independent=True,
    ),
    grimp.Layer("network", "dataset", independent=True),
    grimp.Layer("pictures", "params", independent=True),
    grimp.Layer("geometry", "common", independent=True),
)


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("cardpose", "stages", "benchmarks", cache_dir=None)


def test_packages_import_downward_only(graph):
    wrong = graph.find_illegal_dependencies_for_layers(LAYERS, containers={"cardpose"})
    assert not {(each.importer, each.imported) for each in wrong}


def test_every_package_has_a_layer(graph):
    # The top-level module and `python -m cardpose` stand above all layers.
    packages = {name.split(".")[1] for name in graph.modules if name.startswith("cardpose.")}
    assert packages - {"__main__"} == {name for layer in LAYERS for name in layer.module_tails}


@pytest.mark.parametrize(
    ("above", "below"),
    [("stages", "cardpose." + name) for name in ("cli", "labelling", "checking")]
    + [("benchmarks", "stages")],
)
def test_scripts_leave_out_what_is_not_for_them(graph, above, below):
    assert not graph.find_shortest_chains(importer=above, imported=below, as_packages=True)
