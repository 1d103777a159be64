"""Configuration, rules and their tests by promtool, and that every alert is covered.

    python3 grafana/check/rules_check.py

An alert is covered if one of its tests fails once it never fires, and one once it always does. Both are tried, in a copy
of all the rules.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

from expressions import GRAFANA, RULES

FOLDER = GRAFANA / "prometheus"
TESTS = sorted((FOLDER / "tests").glob("*.yml"))


def promtool(*arguments):
    """Runs promtool; returns whether it is content, and what it says."""
    run = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return run.returncode == 0, run.stdout + run.stderr


def uncovered():
    """Alerts without a test that fails when they never fire, or without one that fails when they always do."""
    failures, alerts, cases = [], [], []
    for file in RULES:
        alerts += [rule["alert"] for group in parsed(file)["groups"] for rule in group["rules"] if "alert" in rule]
    for file in TESTS:
        cases += [(case["alertname"], test["name"]) for test in parsed(file)["tests"] for case in test["alert_rule_test"]]
    failures += [f"a test of {alert}, which does not exist" for alert, _ in cases if alert not in alerts]
    names = [name for _, name in cases]
    failures += [f"two tests are called {name!r}" for name in set(names) if names.count(name) > 1]
    for what, change in {"never fires": {"expr": "vector(1) == 2"}, "always fires": {"expr": "vector(1)", "for": "0s"}}.items():
        failed = failing(change)
        failures += [
            f"no test fails if {alert} {what}" for alert in alerts
            if not any(of == alert and name in failed for of, name in cases)
        ]
    return failures, len(alerts)


def failing(change):
    """The names of the tests that fail once every alert is changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "rules").mkdir()
        (folder / "tests").mkdir()
        for file in RULES:
            content = parsed(file)
            for group in content["groups"]:
                for rule in group["rules"]:
                    rule.update(change if "alert" in rule else {})
            (folder / "rules" / file.name).write_text(yaml.safe_dump(content))
        for file in TESTS:
            shutil.copy(file, folder / "tests")
        _, text = promtool("test", "rules", *sorted((folder / "tests").glob("*.yml")))
    return set(re.findall(r"^ +name: (.*),$", text, re.MULTILINE))


def parsed(file):
    return yaml.safe_load(file.read_text())


def main():
    failures = []
    for arguments in (
        ["check", "config", FOLDER / "prometheus.yml"],
        ["check", "rules", *RULES],
        ["test", "rules", *TESTS],
    ):
        content, text = promtool(*arguments)
        if not content:
            failures.append(f"promtool {' '.join(arguments[:2])}:\n{text}")
    found, alerts = uncovered()
    if failures + found:
        sys.exit("\n".join(f"rules: {failure}" for failure in failures + found))
    print(f"rules: configuration and rules are valid; {alerts} alerts, each with a test that fires and one that does not")


main()
