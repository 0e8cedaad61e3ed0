"""Other libraries that keep results, put to the rows of `tests/mutations`.

    libraries   one decorator per library, used as its documentation says
    driver      what every new interpreter runs: calls all analyses with one of them
    edits       the rows, and what each is an edit of
    trials      changes the project as a row says, runs `driver`, judges what it did
    scores      outcomes counted, in tables

The first two are imported with this folder on the path, beside the project that rows edit; the others from here.
"""
