"""Edits of a project on disk, and what has to be computed anew after each.

`semantic.txt` and `cosmetic.txt` hold a row each; to add one, write it there:

    === a constant of the module => token_norms
    study/embeddings.py: UNIT = 2.0 ---> UNIT = 3.0

A title with the analyses that have to be computed anew (in `cosmetic.txt` none), then any number of changes, one a
line. A change replaces what stands exactly once in a file (`\\n` is the end of a line), or is a verb of
`harness.VERBS` with its words:

    add study/new.py X = 1          move study/runs.py study/along.py
    delete signal_lib/fast.py       scale 200 embed.W

`rows` reads the tables, `harness` copies the packages in `three-packages/` and changes them, `driver` calls all
analyses in a new interpreter.
"""
