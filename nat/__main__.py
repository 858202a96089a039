"""``python -m nat``: the same commands as the ``nat`` console script."""

from nat.cli import main

if __name__ == "__main__":
    main()
