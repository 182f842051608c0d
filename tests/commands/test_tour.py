"""docs/tutorials/tour.ipynb runs, and shows what it says."""

import pytest
from support import REPOSITORY

nbformat = pytest.importorskip("nbformat", reason="`make install` installs nbclient")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = REPOSITORY / "docs/tutorials/tour.ipynb"
LARGEST = 150_000  # bytes, with the pictures that it made


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell):
    """Return the kinds of a cell's outputs. Pieces of text in a row are one output."""
    found = [sorted(output.get("data", {"text": None})) for output in cell.outputs]
    return [kind for kind, before in zip(found, [None, *found], strict=False) if kind != before]


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(committed):
    """The notebook, run where Jupyter would run it."""
    notebook = nbformat.from_dict(committed)
    for cell in code_cells(notebook):
        cell.outputs = []
    options = {"timeout": 300, "startup_timeout": 300}
    options["resources"] = {"metadata": {"path": str(NOTEBOOK.parent)}}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)  # Jupyter shows figures in the notebook
        nbclient.NotebookClient(notebook, **options).execute()
    return notebook


def test_the_notebook_comes_with_its_outputs_and_stays_small(committed):
    nbformat.validate(committed)
    assert NOTEBOOK.stat().st_size < LARGEST
    for number, cell in enumerate(code_cells(committed)):
        assert bool(cell.outputs) == (number > 0)  # the first one imports
        assert all(output.output_type != "error" for output in cell.outputs)


def test_running_the_notebook_gives_the_same_kinds_of_outputs(committed, executed):
    for before, after in zip(code_cells(committed), code_cells(executed), strict=True):
        assert kinds(before) == kinds(after), after.source


def test_many_views_count_the_packet(executed):
    text = code_cells(executed)[-1].outputs[-1].text
    assert float(text.split()[0]) == pytest.approx(30, abs=3), text
