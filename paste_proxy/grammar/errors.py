"""What this package raises; it knows nothing of the errors of the rest."""


class GrammarError(ValueError):
    """Bytes that are not of the grammar; the message says what and where."""


class UnreadableRequestError(GrammarError):
    """A body that is no request of its API: to be relayed as it is, without being understood."""
