"""Side-by-side measurements of Interlock and its peers: ``python -m benchmarks``. See README.md in this folder."""
