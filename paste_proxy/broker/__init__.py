"""Speculations: taken on, run ahead, kept aside, and released to exactly the call that they guessed."""
