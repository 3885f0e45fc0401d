"""Training of the tiny model: it counts how often characters follow each context.

Run it after you change `corpus.txt`. The same text produces the same file.
"""

import json
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent
ORDER = 6


def train(text: str) -> dict[str, str]:
    """Return the characters that follow each context of up to ORDER characters.

    Each character is repeated as often as it follows the context.
    """
    follows: dict[str, list[str]] = defaultdict(list)
    for end in range(1, len(text)):
        for length in range(1, min(ORDER, end) + 1):
            follows[text[end - length : end]].append(text[end])
    return {context: "".join(found) for context, found in follows.items()}


def main() -> None:
    """Write the weights that the replicas load."""
    text = " ".join((FOLDER / "corpus.txt").read_text().split())
    weights = json.dumps(train(text), indent=0, sort_keys=True)
    (FOLDER / "app" / "tiny.json").write_text(f"{weights}\n")


if __name__ == "__main__":
    main()
