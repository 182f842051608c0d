"""Mutants of the scripts in docs/."""

from mutants import Mutant

MUTANTS = [
    Mutant(
        "links to files outside docs/ stay as they are on the site",
        "docs/site/hooks.py",
        "(path := outside(page, target)) is None",
        "(path := outside(page, target)) is not None",
        "tests/docs/test_links.py -k out_of_docs",
    ),
    Mutant(
        "a comment above a parameter goes to those below it, too",
        "docs/reference/parameters.py",
        "            above = []\n",
        "",
        "tests/docs/test_reference.py -k comments",
    ),
    Mutant(
        "a parameter of a section changes no stage",
        "docs/reference/parameters.py",
        'f"{name}.".startswith(f"{each}.")',
        "name == each",
        "tests/docs/test_reference.py -k up_to_date",
    ),
]
