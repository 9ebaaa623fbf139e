"""``python -m bihrnet`` is the `bihrnet` command."""

from bihrnet.cli.app import main

if __name__ == "__main__":
    main()
