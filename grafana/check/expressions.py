"""The queries of the dashboards and rules, as Grafana would send them."""

import json
import pathlib
import re
from dataclasses import dataclass, field

import yaml

GRAFANA = pathlib.Path(__file__).resolve().parent.parent
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RULES = sorted((GRAFANA / "prometheus" / "rules").glob("*.yml"))

NAME = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b")


@dataclass
class Query:
    """One expression, and where it stands."""

    where: str
    expr: str
    recorded: str = ""
    names: set = field(default_factory=set)


def panels(dashboard):
    """Every panel that is not a row, also those in collapsed rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def of_panels(intervals):
    """Every panel's expressions, with `intervals` substituted and "All" chosen for every variable."""
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text())
        chosen = {variable["name"]: variable.get("allValue", "") for variable in dashboard["templating"]["list"]}
        variables = intervals | chosen
        for panel in panels(dashboard):
            for target in panel["targets"]:
                where = f"panel {panel['title']!r}, query {target['refId']}"
                yield Query(where, substituted(target["expr"], variables))


def of_rules(kind):
    """Every rule's expression: kind is "record" or "alert"."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                if kind in rule:
                    yield Query(f"rule {rule[kind]}", rule["expr"], rule[kind])


def substituted(expr, variables):
    """`expr` with $name and ${name} replaced; longer names first, because Grafana takes the longest."""
    for name in sorted(variables, key=len, reverse=True):
        expr = expr.replace("${" + name + "}", variables[name])
        expr = re.sub(rf"\${name}\b", variables[name].replace("\\", "\\\\"), expr)
    return expr


def without_strings(expr):
    """`expr` without label values, in which anything may stand."""
    return re.sub(r"\"[^\"]*\"|'[^']*'", '""', expr)


def metrics(expr, known):
    """The metrics of `known` that `expr` names, with the suffix of a histogram left on."""
    return {name for name in NAME.findall(without_strings(expr)) if family(name, known)}


def family(name, known):
    """The metric of `known` that the series `name` belongs to, or None."""
    if name in known:
        return name
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix) and name.removesuffix(suffix) in known:
            return name.removesuffix(suffix)
    return None


def renamed(expr, name):
    """`expr` as it would be if the metric `name` had been renamed and nobody had told."""
    parts = re.split(r"(\"[^\"]*\"|'[^']*')", expr)
    parts[::2] = [re.sub(rf"(?<![\w:]){re.escape(name)}(?![\w:])", name + "_renamed", part) for part in parts[::2]]
    return "".join(parts)


def listed(file):
    """A list of exceptions, one a line: `what -- why`."""
    entries = {}
    for line in (pathlib.Path(__file__).parent / file).read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            what, _, why = line.partition(" -- ")
            if not why.strip():
                raise SystemExit(f"{file}: no reason given for {what!r}; write `what -- why`")
            entries[what.strip()] = why.strip()
    return entries
