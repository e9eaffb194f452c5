"""`python -m symptoms` is `symptoms`."""

from symptoms.cli import main

if __name__ == "__main__":
    main()
