"""An open loop: requests at a constant rate, regardless of the responses."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from project import Project


@dataclass(frozen=True)
class Answer:
    """A response, with the monotonic times of request and response in seconds."""

    status: int
    text: str
    sent: float
    answered: float


@dataclass
class Load:
    """A context manager that sends requests to a path until its block ends."""

    project: Project
    path: str
    rate: float = 20
    _answers: list[Future] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(64)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pool.shutdown()

    def _ask(self) -> None:
        while not self._stop.wait(1 / self.rate):
            self._answers.append(self._pool.submit(self._get))

    def _get(self) -> Answer:
        sent = time.monotonic()
        status, text = self.project.get(self.path)
        return Answer(status, text, sent, time.monotonic())

    @property
    def done(self) -> list[Answer]:
        """The responses so far, in the order of their requests."""
        return [answer.result() for answer in self._answers if answer.done()]

    @property
    def answers(self) -> list[str]:
        """The texts of the successful responses so far."""
        return [answer.text for answer in self.done if answer.status == 200]

    def count(self, text: str) -> int:
        """Return how many successful responses so far have this text."""
        return self.answers.count(text)

    @property
    def lost(self) -> list[tuple[int, str]]:
        """The status and text of each response other than 200."""
        return [(a.status, a.text) for a in self.done if a.status != 200]
