"""Descriptions that wait for the classifier, and the thread that asks it about several at once."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from symptoms.classifier import Assessment, Classifier
from symptoms.errors import InputError, ServiceError
from symptoms.web.problems import STOPPING, ApiError, log_without_words

TOGETHER = 16
"""As many as the classifier keeps under way at a time."""
RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class _Waiting:
    text: str
    answer: Future[Assessment] = field(default_factory=lambda: Future[Assessment]())


class WaitingLine:
    """A bounded queue. Any thread may put descriptions in; one takes them out and has them assessed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[_Waiting] = deque()
        self._in_hand: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, texts: Sequence[str]) -> list[Future[Assessment]]:
        """A future for each description, in order; raises ApiError where there is no room for all of them."""
        entering = [_Waiting(text) for text in texts]
        with self._changed:
            if self._is_closed:
                raise ApiError(503, STOPPING)
            if len(self._waiting) + len(entering) > self._limit:
                raise ApiError(
                    503, "Too many descriptions are waiting; try again in some seconds.", RETRY_SECONDS
                )
            self._waiting.extend(entering)
            self._changed.notify()
        return [one.answer for one in entering]

    def assess_with(self, classifier: Classifier) -> None:
        """Assess what comes, for ever.

        Raises ServiceError when the classifier's local server is lost; those who wait then go on waiting, for
        the next classifier. Has to run in the main thread, where the end of a local server is told.
        """
        try:
            while True:
                self._take()
                self._assess_in_hand(classifier)
        except KeyboardInterrupt:
            if classifier.is_lost:
                raise ServiceError("The local server ended while it was in use.") from None
            raise
        finally:
            self._put_back()

    def close(self) -> None:
        """Answer all who wait that there will be no answer."""
        with self._changed:
            self._is_closed = True
            left = list(self._waiting)
            self._waiting.clear()
        for one in left:
            if not one.answer.done():
                one.answer.set_exception(ApiError(503, STOPPING))

    def _take(self) -> None:
        with self._changed:
            while not self._waiting and not self._in_hand:
                self._changed.wait()
            while self._waiting and len(self._in_hand) < TOGETHER:
                one = self._waiting.popleft()
                # False where whoever asked has gone.
                if one.answer.running() or one.answer.set_running_or_notify_cancel():
                    self._in_hand.append(one)

    def _assess_in_hand(self, classifier: Classifier) -> None:
        outcomes = classifier.outcomes([one.text for one in self._in_hand])
        try:
            for outcome in outcomes:
                answer = self._in_hand.popleft().answer
                if isinstance(outcome, InputError):
                    answer.set_exception(ApiError(422, str(outcome)))
                else:
                    answer.set_result(outcome)
        except Exception as error:
            log_without_words(error)
            # The first may be the cause, and must not fail the others again and again.
            self._in_hand.popleft().answer.set_exception(
                ApiError(503, "The model could not be asked; try again in some seconds.", RETRY_SECONDS)
            )
            if classifier.is_lost:
                raise ServiceError(str(error)) from error

    def _put_back(self) -> None:
        with self._changed:
            while self._in_hand:
                self._waiting.appendleft(self._in_hand.pop())
