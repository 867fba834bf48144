"""The scripted "model": the documented policy of research.yaml, decided from the messages alone.

It searches with free text, opens results of the latest search by their rank among those not opened yet,
now and then a page that no result named, and answers when its searches are used up.
"""

from typing import Any

import msgspec
import orjson

from paste_proxy.lab.conversation import Conversation
from paste_proxy.lab.sizes import ADDRESS, CHARACTERS_PER_TOKEN, OPEN, READ, SEARCH, Sizes
from paste_proxy.lab.vocabulary import load_vocabulary
from paste_proxy.lab.workload import Draws, Workload

MODEL = "scripted-research"


class PlannedCall(msgspec.Struct, frozen=True):
    """`arguments` is the JSON text as the model writes it."""

    call_id: str
    tool: str
    arguments: str


class Turn(msgspec.Struct, frozen=True):
    """What the model says next; its tokens are counted as drawn, not as a tokenizer would cut this text."""

    text: str
    text_tokens: int
    call: PlannedCall | None = None
    call_tokens: int = 0
    named_after: float = 0.0
    """After this share of the text it names the page that is opened next; 0: it does not."""

    @property
    def tokens(self) -> int:
        return self.text_tokens + self.call_tokens


class Action(msgspec.Struct, frozen=True):
    """A decision before it is put into words; `page` is what the text may name beforehand."""

    tool: str
    arguments: dict[str, Any]
    page: str = ""


class SearchHit(msgspec.Struct, frozen=True):
    address: str


class SearchAnswer(msgspec.Struct, frozen=True):
    results: tuple[SearchHit, ...]


class Policy:
    """Stateless: equal messages get an equal turn."""

    def __init__(self, workload: Workload, sizes: Sizes, *, terse: bool = False) -> None:
        """`terse`: without the filler, for whom only counts matter."""
        self._workload = workload
        self._sizes = sizes
        self._terse = terse
        self._words = load_vocabulary()

    def opening(self, task: int) -> list[dict[str, Any]]:
        """The messages with which an agent starts a task."""
        draws = self._workload.draws(task)
        about = " ".join(draws.choices(self._words.subjects, 2, "about"))
        question = f"Task {task}: what does Python offer for {about}? Background:"
        text = self._prose(question, self._sizes.user(task), draws, "user")
        return [{"role": "system", "content": self._words.system_prompt}, {"role": "user", "content": text}]

    def call_count(self, task: int) -> int:
        """How many calls a task makes: that does not depend on what they return."""
        draws = self._workload.draws(task)
        last: str | None = None
        step = searches = 0
        while True:
            if self._opens(last, draws, step):
                last = OPEN
            elif searches < self._searches(draws):
                last, searches = SEARCH, searches + 1
            else:
                return step
            step += 1

    def next_turn(self, conversation: Conversation) -> Turn:
        draws, step = self._workload.draws(conversation.task), conversation.turns
        action = self._act(conversation, draws, step)
        tokens = self._sizes.turn(conversation.task, step, final=action is None)
        if action is None:
            return Turn(self._text(conversation, tokens, draws), tokens)
        call_tokens = max(1, round(tokens * self._workload.tokens.turn_output.call_fraction))
        text_tokens = max(1, tokens - call_tokens)
        text, named_after = self._text(conversation, text_tokens, draws), 0.0
        if action.page and draws.uniform(step, "mention") < self._workload.mention.probability:
            named_after = self._workload.mention.at_fraction_of_turn
            text = _mention(text, action.page, named_after)
        arguments = orjson.dumps(action.arguments).decode()
        call = PlannedCall(f"call_{conversation.digest[:24]}", action.tool, arguments)
        return Turn(text, text_tokens, call, call_tokens, named_after)

    # -- the decision -------------------------------------------------------------------------------------

    def _act(self, conversation: Conversation, draws: Draws, step: int) -> Action | None:
        last = conversation.calls[-1].tool if conversation.calls else None
        if self._opens(last, draws, step):
            return self._open(conversation, draws, step)
        if sum(call.tool == SEARCH for call in conversation.calls) < self._searches(draws):
            arguments = {"query": self._query(draws, step), "limit": self._workload.candidates_per_search}
            return Action(SEARCH, arguments)
        return None

    def _searches(self, draws: Draws) -> int:
        return self._workload.searches.quantile(draws.uniform("searches"))

    def _opens(self, last: str | None, draws: Draws, step: int) -> bool:
        """Whether a page is opened now; `last` is the tool called before."""
        if last is None:
            return False
        if last == SEARCH:
            return draws.uniform(step, "skip") >= self._workload.skip_opening_after_search
        return draws.uniform(step, "again") < self._workload.open_again

    def _open(self, conversation: Conversation, draws: Draws, step: int) -> Action:
        rank = self._workload.rank(draws.uniform(step, "rank"))
        left = unopened(conversation)
        if rank is not None and rank <= len(left):
            address = left[rank - 1]
            return Action(OPEN, {"address": address}, page=address)
        return self._open_elsewhere(draws, step)

    def _open_elsewhere(self, draws: Draws, step: int) -> Action:
        """A page that stands in no result: results' addresses carry a reference, these do not."""
        if draws.uniform(step, "source") < 0.5:
            path = draws.pick(self._words.files, step, "file")
            return Action(READ, {"path": path}, page=path)
        address = ADDRESS + draws.pick(self._words.modules, step, "module")
        return Action(OPEN, {"address": address}, page=address)

    # -- the words ----------------------------------------------------------------------------------------

    def _query(self, draws: Draws, step: int) -> str:
        subjects = draws.choices(self._words.subjects, 3, step, "query")
        return " ".join([draws.pick(self._words.modules, step, "about"), *subjects])

    def _text(self, conversation: Conversation, tokens: int, draws: Draws) -> str:
        """Visible text: what it is, a digest of all that was received, then filler of the drawn length."""
        opening = f"[scripted {conversation.digest[:8]}]"
        return self._prose(opening, tokens, draws, conversation.turns)

    def _prose(self, opening: str, tokens: int, draws: Draws, *name: object) -> str:
        if self._terse:
            return opening
        length = max(tokens * CHARACTERS_PER_TOKEN, len(opening))
        words = draws.choices(self._words.prose, length // 2, *name, "prose")
        return f"{opening} {' '.join(words)}"[:length].rstrip()


def unopened(conversation: Conversation) -> list[str]:
    """Addresses of the latest search's results that the task has not opened yet, best first."""
    opened = {call.arguments.get("address") for call in conversation.calls if call.tool == OPEN}
    latest = next((call for call in reversed(conversation.calls) if call.tool == SEARCH), None)
    return [address for address in addresses_found(latest.result) if address not in opened] if latest else []


def addresses_found(result: str) -> list[str]:
    """The addresses of a search's result, best first; of any other text none."""
    try:
        answer = msgspec.json.decode(result, type=SearchAnswer)
    except msgspec.DecodeError:
        return []  # an error's text: a model too would see no results in it
    return [hit.address for hit in answer.results]


def _mention(text: str, page: str, fraction: float) -> str:
    at = max(text.find("]") + 1, int(len(text) * fraction))
    return f"{text[:at]} Next I want to see {page} for this. {text[at:].lstrip()}"
