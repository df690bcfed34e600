"""Commands about the server: configuration, statistics, clients. One module per group, found through `registry`."""
