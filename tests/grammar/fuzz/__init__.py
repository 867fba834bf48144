"""Hostile bytes for all of `paste_proxy.grammar`: by hypothesis in every test run, by atheris on demand."""
