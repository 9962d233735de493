"""Every rule's own examples, in every format, and the form of what rules say about themselves."""

import re

import pytest

from claimlint.examples import FORMS, Example, Form, parse, run
from claimlint.rules import FAMILIES, Rule, all_rules

RULES = all_rules()


def _parsed(rule: Rule) -> list[Example]:
    """The rule's examples; none where they cannot be read, which a test of its own tells."""
    try:
        return parse(rule.doc)
    except ValueError:
        return []


EXAMPLES = {code: _parsed(rule) for code, rule in RULES.items()}
CASES = [
    pytest.param(code, example, form, id=f"{code}-{example.kind}-{number}-{form}")
    for code, examples in EXAMPLES.items()
    for number, example in enumerate(examples)
    for form in example.forms
]
PLACEHOLDER = re.compile(r"\{(\w*)\}")


@pytest.mark.parametrize(("code", "example", "form"), CASES)
def test_an_example_is_flagged_or_clean(code: str, example: Example, form: Form) -> None:
    report = run(example, form, (code,))
    assert bool(report.unreadable) <= bool(example.damage)
    told = {f.code: f.message for f in report.findings}
    unchecked = [n.reason for n in report.not_checked if n.code == code]
    assert (code in told) == (example.kind == "flagged"), (told, unchecked)


@pytest.mark.parametrize("form", FORMS)
def test_every_rule_can_look_at_every_example(form: Form) -> None:
    rows = [
        row for examples in EXAMPLES.values() for e in examples if form in e.forms and not e.damage for row in e.rows
    ]
    report = run(Example("clean", "", rows), form)
    assert report.summary["service_lines"] == len(rows)
    assert {n.code for n in report.not_checked if n.whole} == set()


@pytest.mark.parametrize("code", RULES)
def test_a_rule_has_examples_of_both_kinds(code: str) -> None:
    kinds = {example.kind for example in parse(RULES[code].doc)}
    assert kinds == {"flagged", "clean"}


@pytest.mark.parametrize("form", FORMS)
def test_the_base_claim_of_the_examples_is_clean(form: Form) -> None:
    (base,) = parse("Clean:\n    units=2")
    report = run(base, form)
    assert [(f.code, f.severity, f.message) for f in report.findings] == []
    assert not report.unreadable
    assert report.summary["claims_checked"] == report.summary["claims_read"] == 1


@pytest.mark.parametrize("form", FORMS)
def test_only_rules_that_need_more_than_claims_and_registers_go_unchecked_on_it(form: Form) -> None:
    (base,) = parse("Clean:\n    units=2")
    columns = [n for n in run(base, form).not_checked if "has no column" in n.reason or "was given" in n.reason]
    assert columns == []


@pytest.mark.parametrize("code", all_rules())
def test_what_a_rule_says_of_itself(code: str) -> None:
    rule = all_rules()[code]
    assert re.fullmatch(r"[A-Z]{3}\d{3}", code)
    assert code[:3] in FAMILIES
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert rule.severity in ("error", "warning", "info")
    assert 1 <= rule.snip <= 7
    assert re.fullmatch(r"([A-Z]{0,2}\d+)?", rule.carc)
    assert rule.source
    first = rule.doc.splitlines()[0] if rule.doc else ""
    assert first.endswith("."), f"the first line is no sentence: {first!r}"
    assert not first.startswith(("Flagged", "Clean"))
    assert rule.doc.isprintable() or "\n" in rule.doc


@pytest.mark.parametrize("code", [code for code, rule in RULES.items() if rule.function])
def test_a_rule_says_what_is_wrong_and_what_to_do(code: str) -> None:
    rule = RULES[code]
    for finds in rule.conditions():
        message, hint = finds.message or rule.message, finds.hint or rule.hint
        for text in (message, hint):
            assert text
            assert not text.endswith((".", " ", ":"))
            assert all(PLACEHOLDER.findall(text)) or "{}" not in text
        assert finds.field or rule.field


def test_codes_and_names_are_unique() -> None:
    names = [rule.name for rule in all_rules().values()]
    assert len(names) == len(set(names))
    assert not set(names) & set(all_rules())


def _grouped_by(expression: str) -> list[set[str]]:
    """The columns of each window's groups, of an expression as text."""
    found = []
    for start in (m.end() for m in re.finditer(r"\.over\(\[?", expression)):
        depth, end = 1, start
        while depth and end < len(expression):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(expression[end], 0)
            end += 1
        found.append(set(re.findall(r'col\("(\w+)"\)', expression[start:end])))
    return found


@pytest.mark.parametrize("code", RULES)
def test_a_rule_that_groups_lines_of_several_patients_says_so(code: str) -> None:
    rule = RULES[code]
    expressions = [str(e) for finds in rule.conditions() for e in (finds.when, *(finds.values or {}).values())]
    groups = [columns for text in expressions for columns in _grouped_by(text)]
    of_one_patient = {"patient_key", "session_key", "claim_key", "row"}
    beyond = [columns for columns in groups if not columns & of_one_patient]
    assert all(set(rule.across) & columns for columns in beyond) if rule.across else not beyond
