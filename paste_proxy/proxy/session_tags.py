"""Sessions that engines were told of by name, until they are over."""

import secrets

from paste_proxy.backends import BackendControl


class SessionTags:
    """Forgets what is over, so that it holds no more than the core has sessions."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(8)
        """Two proxies at one engine give different names, and so does one that was started anew."""
        self._told: dict[str, set[BackendControl]] = {}

    def __len__(self) -> int:
        return len(self._told)

    def name(self, session: str) -> str:
        """Under which engines know it."""
        return f"paste-{self._process}-{session}"

    def used(self, session: str, control: BackendControl) -> None:
        self._told.setdefault(session, set()).add(control)

    def over(self, session: str) -> int:
        """What is kept for it may go, wherever it is: how many engines are told so."""
        told = self._told.pop(session, ())
        return sum(control.session_over(self.name(session)) for control in told)
