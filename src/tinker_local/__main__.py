"""`python -m tinker_local` is `tinker-local`."""

from tinker_local.cli import main

if __name__ == "__main__":
    main()
