"""The templates as data; intrinsic functions as `{"Ref": …}` and `{"Fn::…": …}`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cfnlint.decode import decode

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "aws"
TEMPLATE = FOLDER / "template.yaml"
WAF = FOLDER / "waf.yaml"


def load(path: Path = TEMPLATE) -> dict:
    template, problems = decode(str(path))
    assert not problems, problems
    return template


def resources(template: dict, of_type: str) -> dict[str, dict]:
    found = template["Resources"].items()
    return {name: body for name, body in found if body["Type"] == of_type}


def name_of(value: object) -> str:
    """The resource that a `Ref` or `Fn::GetAtt` names."""
    assert isinstance(value, dict), value
    if "Ref" in value:
        return value["Ref"]
    target = value["Fn::GetAtt"]
    return target.split(".")[0] if isinstance(target, str) else target[0]


def statements(template: dict) -> Iterator[tuple[str, dict]]:
    """Every policy statement in the template, with the resource in which it stands."""

    def walk(value: object) -> Iterator[dict]:
        if isinstance(value, dict):
            if "Effect" in value:
                yield value
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    for name, body in template["Resources"].items():
        for statement in walk(body.get("Properties", {})):
            yield name, statement


def listed(value: object) -> list:
    return value if isinstance(value, list) else [value]
