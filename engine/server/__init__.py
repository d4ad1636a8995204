"""The HTTP server: what arrives, who may ask, and the endpoints beside the model calls."""
