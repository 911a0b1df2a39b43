"""What promote, rollback and recover have in common: what dead runs left, the attempt, its place in the ledger."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

import msgspec

from cicd.adapters.compact import compact
from cicd.adapters.github import GitHub
from cicd.adapters.heartbeat import Heartbeat
from cicd.adapters.host import Fenced
from cicd.adapters.runner import Runner
from cicd.commands.answer import answer
from cicd.commands.execute import Execution, Outcome
from cicd.commands.read import Site
from cicd.commands.steps import TargetSteps
from cicd.core.journal import Closed, Entry
from cicd.core.ledger import BY_HAND, Deployment, Payload, replaced_by, without_verdict
from cicd.core.plan import Plan, Running
from cicd.core.release import redact
from cicd.core.results import Result
from cicd.errors import CicdError, Interrupted, JournalFailed, Unfinished


@dataclass
class Deployer:
    """One environment under its lock.

    Attributes:
        hub: None to work without GitHub; the ledger then learns of it by a later run.
        ledger: the environment's deployments, and perhaps others', newest first.
        beat: keeps the lock on GitHub while this works; None where there is none.
    """

    site: Site
    runner: Runner
    hub: GitHub | None
    ledger: list[Deployment]
    beat: Heartbeat | None = None

    def behind(self) -> bool:
        """Whether something of an earlier run is left to do: on the target, or in the ledger."""
        state = self.site.target.state()
        return bool(state.unfinished or state.unrecorded or without_verdict(self.ledger, self.site.name))

    def down(self) -> bool:
        """Whether the release that has the traffic, or a service of it, does not run."""
        running = self.site.target.state().running
        if running.release is None or not self.site.target.has(running.release.id):
            return False
        site = self.site.of_release(running.release.id)
        record, engine = site.target.record(running.release.id), site.engine
        return engine.alive(running.slot) != running.release.id or not engine.services_run(record)

    def revive(self) -> list[str]:
        """Start again what has the traffic and does not run; gives what was done. The lock is held.

        Raises:
            Unhealthy, RouterFailed: it was started, and is not well.
        """
        running = self.site.target.state().running
        if running.release is None or not self.site.target.has(running.release.id):
            return []
        site = self.site.of_release(running.release.id)
        record, serving = site.target.record(running.release.id), site.steps(running).serving
        if not (revived := site.engine.revive(running.slot, record)):
            return []
        serving.verify(running.slot, record)
        return [f"started again: {revived}; {serving.switch(running.slot, record)}"]

    def recover(self) -> list[str]:
        """Finish or undo what a killed run left on the target; gives what was done. The lock is held.

        Raises:
            Unfinished: something still cannot be undone.
        """
        target = self.site.target
        state = target.state()
        if state.unfinished is None:
            return []
        attempt = state.unfinished
        self.runner.say(f"A run was killed while it did `{attempt.payload.kind} {attempt.plan.release.name}`")
        self._prepare_the_way_back(state.running)
        site = self.site.of_release(attempt.plan.release.id)
        secrets = secrets_of(site, attempt.plan)
        execution = Execution(
            attempt.plan,
            state.running,
            attempt.payload,
            site.steps(state.running),
            self._journal,
            self.runner.say,
            lambda text: redact(text, secrets),
        )
        outcome = execution.recover(attempt)
        if isinstance(outcome.error, Unfinished):
            raise outcome.error
        return [f"{attempt.payload.kind} {attempt.plan.release.name} is {outcome.verdict} now"]

    def _prepare_the_way_back(self, running: Running) -> None:
        """Users can only go back to what runs, and the machine may have crashed with the run."""
        if running.release is None or not self.site.target.has(running.release.id):
            return
        site = self.site.of_release(running.release.id)
        try:
            if revived := site.engine.revive(running.slot, site.target.record(running.release.id)):
                self.runner.say(f"  · started again: {revived}")
        except Interrupted:
            raise
        except CicdError as error:  # what is undone then may not need it
            self._warn(f"What ran before could not be started again: {error}")

    def catch_up(self) -> list[str]:
        """Tell the ledger what it could not be told before, and close what dead runs left open there.

        Gives what was done. The lock is held, so whoever left something open is dead. Raises one of GitHub's errors.
        """
        if self.hub is None:
            return []
        unrecorded = self.site.target.state().unrecorded
        for closed in unrecorded:
            self._record(self.hub, closed)
        known = {closed.payload.key for closed in unrecorded}
        dead = [entry for entry in without_verdict(self.ledger, self.site.name) if entry.payload.key not in known]
        for entry in dead:
            self.hub.set_verdict(entry.id, "failed", f"{Interrupted.reason}: its run ended without a verdict")
        if unrecorded or dead:
            self.ledger = self.hub.ledger(sorted({self.site.name, *(entry.environment for entry in self.ledger)}))
        return [
            *(f"recorded {one.payload.kind} {one.payload.release.name}: {one.verdict}" for one in unrecorded),
            *(f"closed deployment {entry.id} of a run that ended without a verdict" for entry in dead),
        ]

    def carry_out(
        self,
        plan: Plan,
        steps: TargetSteps,
        approved_by: list[str],
        secrets: list[str],
        reason: str = "",
        *,
        alert: str = "",
        rehearsal: bool = False,
        changes: Sequence[float] = (),
    ) -> Result:
        """Open the ledger, execute, close the ledger.

        Args:
            secrets: values that must not get into any text.
            reason: why, for a rollback.
            alert: id of the one that asked for the rollback.
            rehearsal: whether the rollback only shows that one could go back.
            changes: when what a promotion brings came to its branch, in seconds since 1970.
        """
        payload = Payload(
            kind=plan.kind,
            release=plan.release,
            release_id=plan.release.id,
            key=key_of(self.runner, self.site.name),
            run=self.runner.run_id,
            approved_by=approved_by,
            replaces=plan.replaces.id if plan.replaces else "",
            reason=redact(reason, secrets),
            at=time.time(),
            alert=alert,
            rehearsal=rehearsal,
            changes=list(changes),
        )
        number = self._open(plan, payload)
        self.runner.say(f"{plan.kind} {plan.release.name} → {self.site.name}")
        execution = Execution(
            plan,
            steps.before_running,
            payload,
            steps,
            self._journal,
            self.runner.say,
            lambda text: redact(text, secrets),
        )
        outcome = execution.run(number)
        self._close(payload, number, outcome)
        if outcome.verdict == "stable":
            self._tidy(steps, plan.release.id)
        self._compact()
        return answer(plan, outcome, number, approved_by, secrets)

    def _open(self, plan: Plan, payload: Payload) -> int:
        """Open a deployment in the ledger; gives its number, 0 where GitHub is not reached.

        A promotion does not begin without its place in the ledger; a rollback does.
        """
        if self.hub is None:
            return 0
        number = 0
        try:
            number = self.hub.create_deployment(payload, self.site.name, production=self.site.production)
            self.hub.set_verdict(number, "in-progress", f"{plan.kind} {plan.release.name}")
        except Interrupted:
            raise
        except CicdError as error:
            if not number and plan.kind == "promote":
                raise
            self._warn(f"GitHub could not be told that this begins: {error}")
        return number

    def _close(self, payload: Payload, number: int, outcome: Outcome) -> None:
        """Record the verdict; what has happened on the target stays true if GitHub is away."""
        if self.hub is None:
            return
        try:
            if isinstance(
                outcome.error, Unfinished | JournalFailed
            ):  # it stays open in the journal; a recovery says the last word
                self.hub.set_verdict(number, "failed", outcome.note or outcome.error.reason)
            for closed in self.site.target.state().unrecorded:
                if closed.payload.key == payload.key:
                    self._record(self.hub, closed)
        except CicdError as error:
            self._warn(f"The verdict could not be recorded; the next run does it, or `cicd recover`: {error}")

    def _record(self, hub: GitHub, closed: Closed) -> None:
        """Mirror one closed attempt in the ledger, and note in the journal that it is there."""
        key = closed.payload.key
        known = next((entry for entry in self.ledger if entry.payload.key == key), None)
        number = closed.number or (known.id if known else 0)
        if not number:
            production = self.site.production
            number = hub.create_deployment(closed.payload, self.site.name, production=production, maybe_there=True)
        if known is None or known.verdict != closed.verdict:
            hub.set_verdict(number, closed.verdict, closed.note, self.site.url)
        left = replaced_by(self.ledger, closed.payload) if closed.verdict == "stable" else None
        if left and left.verdict != "rolled-back":
            hub.set_verdict(left.id, "rolled-back", f"{BY_HAND}: to {closed.payload.release.name}")
        self._journal(Entry(at=time.time(), deployment=key, event="recorded", number=number))

    def _journal(self, entry: Entry) -> None:
        """Write down what is done under our lock; a step is begun only while the lock is ours. Raises LockLost."""
        if self.beat and entry.event == "begin":
            self.beat.check()
        self.site.target.journal(msgspec.structs.replace(entry, fence=self._token()))

    def _tidy(self, steps: TargetSteps, release_id: str) -> None:
        """Remove old releases. The verdict stands whatever comes of it."""
        try:
            removed = steps.prune(release_id)
        except (CicdError, OSError) as error:
            self._warn(f"Old releases could not be removed: {error}")
        else:
            if removed:
                self.runner.say(f"  · removed old releases: {', '.join(removed)}")

    def _compact(self) -> None:
        """Keep the journal short. The verdict stands whatever comes of it."""
        try:
            old = compact(self.site.target, self._token())
        except (CicdError, OSError, ValueError, Fenced) as error:
            self._warn(f"The journal could not be made shorter: {error}")
        else:
            if old:
                self.runner.say(f"  · moved older attempts of the journal into {old}")

    def _token(self) -> int:
        """Of the lock under which this works."""
        return self.beat.token if self.beat else self.site.target.fence()

    def _warn(self, text: str) -> None:
        self.runner.annotate("warning", text, title="cicd")


def secrets_of(site: Site, plan: Plan) -> list[str]:
    """Values of the secret settings of both releases of a plan, as far as they lie on the target."""
    ids = [release.id for release in (plan.release, plan.replaces) if release]
    return [value for one in ids for value in site.target.secrets(one)]


def key_of(runner: Runner, environment: str) -> str:
    """Names one attempt, and finds it again in the ledger; a job may make several, so it is not made of names alone."""
    run = f"{runner.run_id}.{runner.env.get('GITHUB_RUN_ATTEMPT', '1')}" if runner.run_id else "local"
    return f"{run}/{runner.env.get('GITHUB_JOB', 'cli')}/{environment}/{token_hex(6)}"
