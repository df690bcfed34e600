"""Side-by-side measurements of this server and its peers; `python -m loadtest.compare --help`."""
