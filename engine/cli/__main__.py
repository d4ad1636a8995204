"""``python -m engine.cli`` is ``interlock``."""

from . import main

if __name__ == "__main__":
    main()
