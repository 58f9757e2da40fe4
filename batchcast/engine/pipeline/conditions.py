"""The conditions of a Condition step.

Source: `sagemaker.core.workflow.conditions` of the SageMaker Python SDK 3.27.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batchcast.engine.errors import NOT_EMULATED
from batchcast.engine.pipeline.expressions import Scope, evaluate
from batchcast.steps.errors import ConfigError, Problem

_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_MEMBERS: Mapping[str, frozenset[str]] = {
    **{name: frozenset({"Type", "LeftValue", "RightValue"}) for name in ("Equals", *_ORDERINGS)},
    "In": frozenset({"Type", "QueryValue", "Values"}),
    "Not": frozenset({"Type", "Condition"}),
    "Or": frozenset({"Type", "Conditions"}),
}


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Whether one condition is true. Raises ConfigError when a value is missing or cannot be ordered."""
    type_ = condition["Type"]
    if type_ == "Not":
        return not holds(condition["Condition"], scope)
    if type_ == "Or":
        return any(holds(each, scope) for each in condition["Conditions"])
    if type_ == "In":
        value = evaluate(condition["QueryValue"], scope)
        return any(_equal(value, evaluate(each, scope)) for each in condition["Values"])
    left, right = (evaluate(condition["LeftValue"], scope), evaluate(condition["RightValue"], scope))
    if type_ == "Equals":
        return _equal(left, right)
    if not (_is_number(left) and _is_number(right)):
        raise ConfigError(Problem("condition", f"{type_} compares numbers, not {left!r} and {right!r}."))
    return _ORDERINGS[type_](left, right)


def condition_problems(conditions: Any, where: str) -> Iterator[Problem]:
    """What is wrong with a list of conditions, before any of them is evaluated."""
    if not isinstance(conditions, list) or not conditions:
        yield Problem("condition", "there has to be at least one condition.", where=where)
        return
    for index, condition in enumerate(conditions):
        place = f"{where}[{index}]"
        type_ = condition.get("Type") if isinstance(condition, Mapping) else None
        if not isinstance(type_, str) or type_ not in _MEMBERS:
            remedy = f"Use {', '.join(_MEMBERS)}."
            yield Problem(NOT_EMULATED, f"condition type {type_!r} is not known.", where=place, remedy=remedy)
        elif set(condition) != _MEMBERS[type_]:
            members = ", ".join(sorted(_MEMBERS[type_]))
            yield Problem(
                "condition", f"{type_} has {', '.join(sorted(condition))}.", where=place, remedy=f"Use {members}."
            )
        elif type_ == "Not":
            yield from condition_problems([condition["Condition"]], place)
        elif type_ == "Or":
            yield from condition_problems(condition["Conditions"], place)


def _equal(left: Any, right: Any) -> bool:
    # In JSON true is no number, in Python it is 1.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
