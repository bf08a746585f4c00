"""``python -m splatalk`` is the ``splatalk`` command."""

from splatalk.cli import main

if __name__ == "__main__":
    main()
