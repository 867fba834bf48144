"""`python -m paste_proxy`."""

from paste_proxy.cli import main

if __name__ == "__main__":
    main()
