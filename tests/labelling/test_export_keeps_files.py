"""`cardpose label export` writes over its own files, and over no others."""

import json

import pytest
from outputs import NOT_OURS


@pytest.mark.parametrize("kind", ["label-studio", "coco", "csv"])
def test_export_keeps_files_of_other_programs_and_edited_exports(mine, label, tmp_path, kind):
    path = tmp_path / "there"
    arguments = ("export", "mine", kind, "--output", path)
    path.write_text('{"images": [], "annotations": [], "categories": []}')  # as CVAT writes it
    status, said = label(*arguments)
    assert (status, said) == (1, f"error: {path}: {NOT_OURS}\n")
    assert label(*arguments, "--force")[0] == 0
    written = path.read_bytes()
    assert label(*arguments)[0] == 0
    assert path.read_bytes() == written
    # Whoever has worked on it wants to keep that.
    worked = {
        "label-studio": lambda text: text.replace('"data": {', '"id": 1,\n  "data": {', 1),
        "coco": lambda text: json.dumps(json.loads(text)),
        "csv": lambda text: text.replace("_0,0,", "_0,1,", 1),
    }[kind](written.decode())
    path.write_text(worked)
    assert label(*arguments)[0] == 1
    assert path.read_text() == worked


def test_export_keeps_another_configuration_beside_it(mine, label, tmp_path):
    arguments = ("export", "mine", "label-studio", "--output", tmp_path / "tasks.json")
    for _ in range(2):
        assert label(*arguments)[0] == 0
    (tmp_path / "label-studio.xml").write_text("<View/>")
    status, said = label(*arguments)
    assert (status, said) == (1, f"error: {tmp_path / 'label-studio.xml'}: {NOT_OURS}\n")
    assert (tmp_path / "label-studio.xml").read_text() == "<View/>"
