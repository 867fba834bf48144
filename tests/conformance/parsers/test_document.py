"""`docs/parsers.md` says what the list says, and the figures of the corpus."""

from tests.conformance.parsers.corpus import cases
from tests.conformance.parsers.document import DOCUMENT, documented
from tests.conformance.parsers.outcomes import every_job
from tests.conformance.parsers.writers import WRITERS


def test_the_document_has_the_list_of_differences() -> None:
    """If it does not: `python -m tests.conformance.parsers.document`."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert documented(text) == text


def test_the_document_counts_the_corpus() -> None:
    texts = list(cases())
    text = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    assert f"{len(texts)} texts, the same calls in {len(WRITERS)} formats" in text
    sglang, vllm = (len(every_job(peer, texts)) for peer in ("sglang", "vllm"))
    assert f"{sglang} readings of SGLang's and {vllm} of vLLM's" in text
