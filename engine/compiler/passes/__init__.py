"""The passes of the compiler, one module each."""
