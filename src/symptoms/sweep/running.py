"""Work through a sweep: every run that is not done, on one service and one copy of the base weights.

Each run has a session of its own on the service, so that its adapter and its optimizer's state are freed
before the next one is made.
"""

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from symptoms.errors import InputError, RunError, ServiceError, SymptomsError
from symptoms.evaluate.during_training import dev_accuracy, written_cases
from symptoms.evaluate.evaluate_run import evaluate_connected
from symptoms.evaluate.evaluation_file import EVALUATION_FILE, read_evaluation, summary_of
from symptoms.evaluate.request.evaluation_request import EvaluationRequest
from symptoms.runs.directory import RunDirectory
from symptoms.service import LOCAL, Service, choose_service, connect
from symptoms.sweep.folder import Outcome, SweepFolder
from symptoms.sweep.requested_runs import RequestedRun, by_base_model, check_offered
from symptoms.sweep.view import RowView, SweepView
from symptoms.train.conclusion.concluding import write_conclusion
from symptoms.train.open_run import opened_run, train_opened
from symptoms.train.request.training_request import check_same_data, request_to_resume
from symptoms.train.training_loop import StopWish
from symptoms.train.watching.interruption import Interruption


class Sweep:
    """A sweep in its folder; `run` does all that is left of it."""

    def __init__(
        self,
        folder: SweepFolder,
        runs: Sequence[RequestedRun],
        view: SweepView,
        console: Console,
        at_once: int,
    ) -> None:
        self._folder = folder
        self._runs = runs
        self._view = view
        self._console = console
        self._at_once = at_once
        # matplotlib keeps caches that threads may not share.
        self._drawing = threading.Lock()

    def run(self) -> list[tuple[str, Outcome]]:
        """Train and evaluate; returns what came of each run, among them those that failed.

        Raises KeyboardInterrupt where it was interrupted, and ServiceError where the service cannot go on.
        """
        left: list[RequestedRun] = []
        for run in self._runs:
            done = self._done(run)
            if done is None:
                left.append(run)
            else:
                self._folder.note(run.name, done)
                self._view.ended(run.name, done, say=False)
        groups = by_base_model(left)
        for base_model, group in groups.items():
            preferred = group[0].request.preferred_base_model
            begun = self._folder.run_directory(group[0].name)
            with ExitStack() as held:
                try:
                    service = held.enter_context(
                        connect(
                            self._folder.record.service,
                            base_model,
                            preferred,
                            of_run=None if begun is None else begun.name,
                        )
                    )
                except ServiceError as error:
                    # One model that cannot be had is no reason to leave the others untrained; but what is
                    # wrong with a service of others, such as a refused key, is wrong for all of them.
                    if len(groups) == 1 or choose_service(self._folder.record.service) != LOCAL:
                        raise
                    for run in group:
                        self._end(run, Outcome("failed", problem=str(error)))
                    continue
                interruption = held.enter_context(Interruption(service, self._console))
                check_offered(left, service)
                self._work_through(group, service, interruption)
            if interruption.wanted:
                raise KeyboardInterrupt
        names = {run.name for run in self._runs}
        return [(entry.name, entry.outcome) for entry in self._folder.record.runs if entry.name in names]

    def _done(self, run: RequestedRun) -> Outcome | None:
        """What came of a run that is finished, and evaluated where that is wanted.

        Raises RunError where its data has changed since, for it could not be compared with the others.
        """
        directory = self._folder.run_directory(run.name)
        if directory is None or not directory.is_finished:
            return None
        check_same_data(directory, run.request, otherwise="begin a sweep of another --name")
        outcome = _trained(directory)
        if self._folder.record.evaluate is None:
            return outcome
        file = directory.path / EVALUATION_FILE
        if not file.exists():
            return None
        evaluation = read_evaluation(file)
        is_of_this = evaluation.test.path == str(Path(self._folder.record.evaluate))
        return replace(outcome, test=summary_of(evaluation)) if is_of_this else None

    def _work_through(self, runs: Sequence[RequestedRun], service: Service, stop: StopWish) -> None:
        waiting = deque(runs)
        team = _Team(stop, [])

        def work() -> None:
            while waiting and not team.wanted:
                try:
                    run = waiting.popleft()
                except IndexError:
                    return
                self._do(run, service, team)

        if self._at_once == 1:
            # In this thread, which the death of a local server interrupts.
            work()
            return

        def work_in_a_thread() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - told by the thread that waits for this one
                team.problems.append(error)

        # They do not outlive this process when it is interrupted a second time.
        threads = [threading.Thread(target=work_in_a_thread, daemon=True) for _ in range(self._at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
        if team.problems:
            raise team.problems[0]

    def _do(self, run: RequestedRun, service: Service, stop: StopWish) -> None:
        """One run; what is wrong with it alone is noted, and the others go on."""
        import tinker

        try:
            with service.session() as own:
                self._train_and_evaluate(run, own, stop)
        except (InputError, RunError, tinker.RequestFailedError, tinker.BadRequestError) as error:
            if service.is_lost:
                raise
            said = str(error) if isinstance(error, SymptomsError) else f"the service reports: {error}"
            self._end(run, Outcome("failed", problem=said))

    def _train_and_evaluate(self, run: RequestedRun, service: Service, stop: StopWish) -> None:
        directory = self._folder.run_directory(run.name)
        if directory is None or not directory.is_finished:
            self._folder.note(run.name, Outcome("training"))
            directory = self._train(run, directory, service, stop)
            if directory is None:
                return
        outcome = _trained(directory)
        if self._folder.record.evaluate is not None:
            self._folder.note(run.name, replace(outcome, state="evaluating"))
            request = EvaluationRequest(directory.name, Path(self._folder.record.evaluate), baselines=False)
            evaluation = evaluate_connected(
                request, service, lambda what, total: self._view.tests(run.name, what, total)
            )
            outcome = replace(outcome, test=summary_of(evaluation))
        self._end(run, outcome)

    def _train(
        self, run: RequestedRun, begun: RunDirectory | None, service: Service, stop: StopWish
    ) -> RunDirectory | None:
        """The finished run, or None where it was stopped; it can be resumed then."""
        request = run.request if begun is None else request_to_resume(begun.name, None)
        settings = request.resolved(service.base_model, service.find_shape).settings
        with opened_run(request, settings, service, run.name, self._folder.path) as opened:
            directory = opened.run
            self._view.began(run.name, directory.metrics())
            loop, checkpoint = train_opened(opened, RowView(self._view, run.name), stop, dev_accuracy(opened))
            if checkpoint is None:
                return None
            cases = written_cases(opened.data, checkpoint, service)
            with self._drawing:
                write_conclusion(directory, opened.settings, service, checkpoint, cases)
            loop.delete_superseded()
        return directory

    def _end(self, run: RequestedRun, outcome: Outcome) -> None:
        self._folder.note(run.name, outcome)
        self._view.ended(run.name, outcome)


@dataclass(frozen=True)
class _Team:
    """Threads that work beside each other, and stop when they are asked to or when one of them fails."""

    stop: StopWish
    problems: list[Exception]

    @property
    def wanted(self) -> bool:
        return self.stop.wanted or bool(self.problems)


def _trained(run: RunDirectory) -> Outcome:
    """The outcome of a finished run, before any evaluation on a test set."""
    summary = run.summary()
    return Outcome("finished", summary["final_loss"], run.used_dev_loss(), summary["train_seconds"])
