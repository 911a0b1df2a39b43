"""What was proven needs no second proof: a suite whose inputs passed before is not run again.

The key of a proof lists its inputs by name, so that a miss can be explained. What is not among them must not change
what the tests show; `reuse: false` is for suites for which something else does, such as the time of day.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from cicd.core.release import digest

OLDEST = 30 * 86400.0  # seconds that a proof holds
KEPT = 200  # proofs of one suite; each is a few hundred bytes


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That a suite was green.

    Attributes:
        suite: its name.
        inputs: by name, each as a digest or a short text; all that the result depends on.
        run: URL or id of the run that showed it.
        sha: commit that it ran on.
        at: seconds since 1970.
        tests: how many ran.
        seconds: that they took, all shards together.
    """

    suite: str
    inputs: dict[str, str]
    run: str
    sha: str = ""
    at: float = 0.0
    tests: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> str:
        return key_of(self.inputs)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a suite may be left out.

    Attributes:
        proof: that its inputs passed before; None: it must run.
        why: one sentence for people.
        audit: whether it is run although it is proven, as a sample.
    """

    why: str
    proof: Proof | None = None
    audit: bool = False

    @property
    def skip(self) -> bool:
        return self.proof is not None and not self.audit


def key_of(inputs: Mapping[str, str]) -> str:
    """Digest of named inputs, whatever their order."""
    return digest(sorted(inputs.items()))


def look_up(
    proofs: Sequence[Proof],
    suite: str,
    inputs: Mapping[str, str],
    *,
    audit: float = 0.0,
    run: str = "",
    now: float = 0.0,
) -> Found:
    """Whether these inputs of a suite passed before, and if not, what differs from the last ones that did.

    Args:
        proofs: newest first.
        audit: percent of the hits that are run all the same.
        now: seconds since 1970; what was proven too long ago is proven anew, for runners change.
        run: of this run; it decides about the sample, so that a second attempt decides alike.
    """
    key, own = key_of(inputs), [proof for proof in proofs if proof.suite == suite and now - proof.at < OLDEST]
    proof = next((one for one in own if one.key == key), None)
    if proof:
        found = Found(proof=proof, why=f"proven by {proof.run} on {proof.sha[:12] or 'the same inputs'}")
        if _sampled(f"{key} {run}", audit):
            return msgspec.structs.replace(found, audit=True, why=f"{found.why}; run again as a sample")
        return found
    if not own:
        return Found(why="nothing of this suite is proven yet")
    return Found(why=f"since {own[0].run} other: {', '.join(differing(own[0].inputs, inputs))}")


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The names of inputs that differ, with their values where people can read them."""
    told = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, ""), new.get(name, "")
        if was != now:
            readable = max(len(was), len(now)) <= 24
            told.append(f"{name} ({was or 'none'} → {now or 'none'})" if readable else name)
    return told


def _sampled(text: str, percent: float) -> bool:
    part = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
    return part * 100 < percent


def with_proof(proofs: Sequence[Proof], new: Proof) -> list[Proof]:
    """Proofs, newest first, with one more; the oldest ones of its suite go."""
    rest = [proof for proof in proofs if (proof.suite, proof.key) != (new.suite, new.key)]
    own = [proof for proof in rest if proof.suite == new.suite][: KEPT - 1]
    return [new, *(proof for proof in rest if proof.suite != new.suite or proof in own)]
