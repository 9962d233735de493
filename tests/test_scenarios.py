"""Of each scenario exactly what must be said is said."""

import pytest

from claimlint.generate import PAYERS
from claimlint.rules import all_rules
from tests.quality import Scenario, scenarios

ALL = list(scenarios())


@pytest.mark.parametrize("each", [pytest.param(s, id=f"{s.name}-{s.payer}-{s.form}") for s in ALL])
def test_exactly_the_rules_that_must_fire_do(each: Scenario) -> None:
    assert sorted(each.found()) == sorted(each.fires)


@pytest.mark.parametrize("payer", PAYERS)
def test_there_is_a_clean_claim_for_every_kind_of_payer(payer: str) -> None:
    notes = {code for code, rule in all_rules().items() if rule.severity == "info"}
    assert any(s.payer == payer and s.fires <= notes for s in ALL)


@pytest.mark.parametrize("code", all_rules())
def test_a_rule_has_scenarios_of_several_payers_or_formats(code: str) -> None:
    named = {(s.payer, s.form) for s in ALL if code in s.fires}
    assert len(named) >= 3
