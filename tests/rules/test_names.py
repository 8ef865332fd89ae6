"""Every rule has a name of its own, and says something."""

from core.rules import names


def test_every_rule_is_in_the_list_under_its_own_name() -> None:
    rules = [rule for rule in vars(names).values() if isinstance(rule, names.Rule)]
    assert {rule.name: rule for rule in rules} == names.ALL
    assert len(rules) == len(names.ALL)
    assert all(rule.says.endswith(".") for rule in rules)
