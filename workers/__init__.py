"""What runs in each child process of the server."""
