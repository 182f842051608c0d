"""Commands are read from Markdown as a reader would type them, and wrong ones are found."""

import pytest
from pages import Command, commands, read_page
from understood import check, check_patch, simple_commands

PAGE = """
Type `make repro`, or `dvc exp run ...`; `params.yaml` is no command.

```sh
make repro   # a comment
echo "a # b" \\
  c

cat <<END
# no comment
END
```

1. In a list:

    ```console
    $ cardpose predict a.jpg
    a.jpg  12.0
    $ git status
    ```

```python
print(1)
```

```text
not run
```
"""


def test_a_page_is_read_from_top_to_bottom(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    assert read_page(tmp_path / "page.md") == [
        Command("make repro", 2, inline=True),
        Command("dvc exp run ...", 2, inline=True),
        Command("make repro", 4),
        Command('echo "a # b" \\\n  c', 4),
        Command("cat <<END\n# no comment\nEND", 4),
        Command("cardpose predict a.jpg", 16),
        Command("git status", 16),
        Command("print(1)\n", 22, "python"),
    ]


def test_a_quotation_may_take_several_lines():
    assert commands("echo 'a\nb' # c\nls\n") == ["echo 'a\nb'", "ls"]


def test_a_line_of_several_commands_is_split():
    found = simple_commands("A=1 git restore . && dvc checkout > log | cut -d , -f 2; ls")
    assert found == [
        ["git", "restore", "."],
        ["dvc", "checkout"],
        ["cut", "-d", ",", "-f", "2"],
        ["ls"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "cardpose predict a.jpg --csv=counts.csv | cut -d , -f 2",
        "dvc exp run -S sigma=3",
        "dvc exp run --queue -S 'split.fold=range(0,5)'",
        'make folds DATASET=cardcut ARGS="-S sigma=3"',
        "python -m benchmarks.folds -S sigma=3",
        "pip install -e '.[cluster]'",
        "pytest tests/test_layers.py",
    ],
)
def test_programs_take_right_commands(text, tmp_path):
    check(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "cardpose predict a.jpg --cvs counts.csv",
        "cardpose predict",
        "ls && cardpose count a.jpg",
        "dvc exp run --sigma 3",
        "dvc exp run -S sigma=0",
        "dvc exp run -S sgima=3",
        "dvc exp run --queue -S 'sigma=3,0'",
        "make fold",
        "python -m benchmarks.folds --sigma 3",
        "python -m benchmarks.fold",
        "python -m stages.train 3",
        "pip install -e '.[clusters]'",
        "pytest tests/test_layer.py",
    ],
)
def test_programs_refuse_wrong_commands(text, tmp_path):
    with pytest.raises(Exception, match=r"\S"):
        check(text, tmp_path)


def test_commands_in_running_text_may_lack_arguments(tmp_path):
    for text in ("cardpose predict", "cardpose label ...", "dvc add", "make label-studio"):
        check(text, tmp_path, inline=True)
    with pytest.raises(Exception, match="begin"):
        check("cardpose label begin", tmp_path, inline=True)


def test_lines_to_change_are_in_the_code():
    check_patch("-class Predictor:\n+class Counter:\n")
    with pytest.raises(AssertionError):
        check_patch("-no such line\n")
