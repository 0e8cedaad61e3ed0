"""Other libraries that keep results, put to the rows of `tests/mutations`.

`libraries` decorates an analysis for each, as its documentation says; `driver` is what every new interpreter runs, with
this folder on its path. Both are imported from there as `libraries` and `driver`, beside the project that rows edit.
"""
