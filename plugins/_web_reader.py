"""Turns one HTML page into readable text: a program of its own, started by `web.py` for each page.

Pages come from anywhere. What reads them is C++, and takes quadratic time for tags nested a hundred thousand
deep, as every reader does that follows the standard. So each page gets a process with limits, to be killed.

Stdin: the page's address in the first line, then the page, in UTF-8. Stdout: the text, in UTF-8.
"""

import resource
import sys
from urllib.parse import urljoin, urlsplit

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import ElementNode, HTMLTree

CPU_S = 10
"""For one page: a thousand times what ordinary ones take."""
MEMORY = 1024 * 1024 * 1024
"""Of the process: a page of the largest size that is fetched takes a fifth of it."""
SKIPPED = [
    "nav",
    "footer",
    "aside",
    "dialog",
    "menu",
    "[role=navigation]",
    "[role=banner]",
    "[role=contentinfo]",
]
"""What stands around a page's text on every page of its site."""


NOWHERE = " (nowhere:)"
"""How a link that leads to no other page is told; the library has no way to leave out one of them."""


def readable(html: str, base: str) -> str:
    """Title and text; links with whole addresses, since they are what is opened next."""
    tree = HTMLTree.parse(html)
    if tree.body is None:
        return ""
    # Gone through by hand: a collection of the library takes quadratic time. A tree can't be changed meanwhile.
    for link in [node for node in tree.body if isinstance(node, ElementNode) and _is_link(node)]:
        link["href"] = address(link["href"], base)
    text = extract_plain_text(tree, preserve_formatting=True, links=True, skip_elements=SKIPPED)
    text = text.replace(NOWHERE, "").strip()
    title = " ".join((tree.title or "").split())
    return f"# {title}\n\n{text}" if title else text


def _is_link(node: ElementNode) -> bool:
    return node.tag == "a" and node.hasattr("href")


def address(link: str, base: str) -> str:
    """Of another page; `nowhere:` for what leads to none: a place in this one, a script."""
    try:
        whole = urljoin(base, link.strip())
        parts = urlsplit(whole)
    except ValueError:
        return "nowhere:"
    if link.startswith("#") or parts.scheme not in ("http", "https"):
        return "nowhere:"
    return parts._replace(fragment="").geturl()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    base, _, html = sys.stdin.buffer.read().partition(b"\n")
    sys.stdout.buffer.write(readable(html.decode("utf-8", "replace"), base.decode()).encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
