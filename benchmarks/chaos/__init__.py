"""The fault bench: an upstream that fails on purpose, the real server in front of it, and load that does not wait."""
