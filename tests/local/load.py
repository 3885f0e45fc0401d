"""Requests at a steady rate, whether or not answers come: an open loop."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from project import Project


@dataclass
class Load:
    """`with Load(project, "/path") as load:` asks until the block ends."""

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
            self._answers.append(
                self._pool.submit(self.project.get, self.path, timeout=25)
            )

    @property
    def answers(self) -> list[str]:
        """The texts of those that came so far."""
        done = [answer.result() for answer in self._answers if answer.done()]
        return [text for status, text in done if status == 200]

    def count(self, text: str) -> int:
        """How many so far were this text."""
        return self.answers.count(text)

    @property
    def lost(self) -> list[tuple[int, str]]:
        """What was not answered with 200."""
        done = [answer.result() for answer in self._answers if answer.done()]
        return [answer for answer in done if answer[0] != 200]
