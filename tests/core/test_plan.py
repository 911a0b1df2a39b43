from cicd.core.migrations import Migration
from cicd.core.plan import Running, plan_promotion, plan_rollback, rollback_class
from tests.core.histories import release

EXPAND = Migration(revision="0002", down="0001", kind="expand")
STUCK = Migration(revision="0003", down="0002", kind="irreversible")


def kinds(plan: object) -> str:
    return " ".join(step.kind for step in plan.steps)  # type: ignore[attr-defined]


def test_the_first_release() -> None:
    plan = plan_promotion("dev", release("v1"), Running(), [], [])
    assert kinds(plan) == "prepare start verify switch watch"
    assert plan.steps[1].slot == "blue"
    assert plan.rollback_class == "code only"


def test_the_next_one_goes_into_the_idle_slot_after_its_migrations() -> None:
    plan = plan_promotion("dev", release("v2", "0002"), Running(release=release("v1"), slot="blue"), [EXPAND], [])
    assert kinds(plan) == "prepare migrate start verify switch watch"
    assert plan.steps[2].slot == "green"
    assert plan.steps[1].revision == "0002"
    assert plan.rollback_class == "code and schema"


def test_a_canary_goes_before_the_switch_where_something_runs() -> None:
    running = Running(release=release("v1"), slot="blue")
    plan = plan_promotion("dev", release("v2"), running, [], [], canary=10)
    assert kinds(plan) == "prepare start verify canary switch watch"
    assert str(plan.steps[3]) == "canary green at 10%"
    assert (
        kinds(plan_promotion("dev", release("v2"), Running(), [], [], canary=10)) == "prepare start verify switch watch"
    )
    hashes = {plan_promotion("dev", release("v2"), running, [], [], canary=share).hash for share in (0, 10, 12.5)}
    assert len(hashes) == 3, "an approval is for this share"


def test_going_back_to_a_warm_slot_is_one_switch() -> None:
    old, new = release("v1", "0001"), release("v2", "0002")
    plan = plan_rollback("dev", old, Running(release=new, slot="green", warm=old.id), [EXPAND])
    assert kinds(plan) == "verify switch downgrade"
    downgrade = plan.steps[2]
    assert downgrade.release == new.id, "only the newer code knows the way down"
    assert downgrade.revision == "0001"


def test_going_back_to_a_cold_one_starts_it_first() -> None:
    plan = plan_rollback("dev", release("v1"), Running(release=release("v3"), slot="green", warm="other"), [])
    assert kinds(plan) == "start verify switch"
    assert plan.steps[0].slot == "blue"


def test_back_to_before_the_first_migration() -> None:
    plan = plan_rollback("dev", release("v1"), Running(release=release("v2", "0001"), slot="blue"), [EXPAND])
    assert plan.steps[3].revision == "base"


def test_rollback_class() -> None:
    assert rollback_class([]) == "code only"
    assert rollback_class([EXPAND]) == "code and schema"
    assert rollback_class([EXPAND, STUCK]) == "forward only"


def test_the_hash_binds_what_would_happen() -> None:
    running = Running(release=release("v1"), slot="blue")
    plan = plan_promotion("dev", release("v2"), running, [], [])
    assert plan.hash == plan_promotion("dev", release("v2"), running, [], ["A"]).hash
    assert plan.hash != plan_promotion("dev", release("v3"), running, [], []).hash
    assert plan.hash != plan_promotion("staging", release("v2"), running, [], []).hash
    assert plan.hash != plan_promotion("dev", release("v2"), Running(), [], []).hash
    assert plan.hash != plan_promotion("dev", release("v2"), running, [EXPAND], []).hash
