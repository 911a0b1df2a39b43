"""Proofs: what passed before is found again, and a miss is explained."""

from hypothesis import given
from hypothesis import strategies as st

from cicd.core.proof import KEPT, Proof, differing, look_up, with_proof

INPUTS = {"tree": "a" * 40, "command": "b" * 64, "python": "3.11"}
PROOF = Proof(suite="unit", inputs=INPUTS, run="https://github.com/acme/api/actions/runs/7", sha="c" * 40, tests=12)
names = st.dictionaries(st.sampled_from(["tree", "command", "python", "services"]), st.text(max_size=4), min_size=1)


def test_the_same_inputs_are_proven_and_the_run_is_named() -> None:
    found = look_up([PROOF], "unit", dict(reversed(INPUTS.items())))
    assert found.skip
    assert "runs/7" in found.why
    assert look_up([PROOF], "e2e", INPUTS).why == "nothing of this suite is proven yet"


def test_a_miss_names_what_differs() -> None:
    found = look_up([PROOF], "unit", {**INPUTS, "python": "3.12", "tree": "d" * 40})
    assert not found.skip
    assert found.why.endswith("other: python (3.11 → 3.12), tree")


@given(names, names)
def test_only_equal_inputs_are_the_same(old: dict[str, str], new: dict[str, str]) -> None:
    found = look_up([Proof(suite="unit", inputs=old, run="1")], "unit", new)
    assert (found.proof is not None) == (old == new)
    if old.keys() == new.keys():
        assert bool(differing(old, new)) == (old != new)


def test_a_sample_of_the_hits_is_run_again() -> None:
    audited = [look_up([PROOF], "unit", INPUTS, audit=5, run=str(number)).audit for number in range(4000)]
    assert 120 < sum(audited) < 280
    assert not look_up([PROOF], "unit", INPUTS, audit=0, run="1").audit
    assert look_up([PROOF], "unit", INPUTS, audit=100, run="1").audit


def test_the_oldest_proofs_of_a_suite_go() -> None:
    proofs = [PROOF]
    for number in range(KEPT + 10):
        proofs = with_proof(proofs, Proof(suite="e2e", inputs={"tree": str(number)}, run=str(number)))
    assert PROOF in proofs
    own = [proof for proof in proofs if proof.suite == "e2e"]
    assert len(own) == KEPT
    assert own[0].run == str(KEPT + 9)
    assert len(with_proof(proofs, own[5])) == len(proofs)
