"""Saving and loading: who asks, what is known of it, how files get their names."""
