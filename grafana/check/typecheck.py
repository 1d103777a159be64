"""Checks every dashboard against Grafana's published types, and that the check bites.

    python3 grafana/check/typecheck.py FOLDER

JSON is also a TypeScript literal, so each dashboard becomes a module whose only value must be of the type in types.ts.
FOLDER gets the modules and must have node_modules from package-lock.json (npm ci). Each of MISTAKES is made in turn in
a copy of the first dashboard; each copy must be refused.
"""

import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
DASHBOARDS = sorted((HERE.parent / "dashboards").glob("*.json"))


def first(dashboard, kind):
    """The first panel of a kind, also within a collapsed row."""
    for panel in dashboard["panels"]:
        for one in [panel, *panel.get("panels", [])]:
            if one["type"] == kind:
                return one
    raise SystemExit(f"no panel of type {kind} to make a mistake in")


def of(kind, change):
    return lambda dashboard: change(first(dashboard, kind))


MISTAKES = {
    "a number for a title": lambda d: d.update(title=1),
    "an unknown key of the dashboard": lambda d: d.update(refreshh="10s"),
    "no schema version": lambda d: d.pop("schemaVersion"),
    "an unknown kind of variable": lambda d: d["templating"]["list"][0].update(type="querry"),
    "an unknown key of a variable": lambda d: d["templating"]["list"][1].update(all=".*"),
    "text for a height": of("timeseries", lambda p: p["gridPos"].update(h="8")),
    "a panel of an unknown kind": of("timeseries", lambda p: p.update(type="graph")),
    "an unknown option of a panel": of("timeseries", lambda p: p["options"].update(legends={})),
    "an unknown option within an option": of("timeseries", lambda p: p["options"]["legend"].update(asTabel=True)),
    "an option of another kind of panel": of("stat", lambda p: p["options"].update(tooltip={"mode": "multi"})),
    "a missing option": of("stat", lambda p: p["options"].pop("colorMode")),
    "a value that its enum does not have": of("timeseries", lambda p: p["options"]["legend"].update(displayMode="tabel")),
    "an unknown field option": of("timeseries", lambda p: p["fieldConfig"]["defaults"]["custom"].update(fill=1)),
    "text for a threshold": of("stat", lambda p: p["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(value="0")),
    "an unknown colour mode's type": of("heatmap", lambda p: p["options"]["color"].update(scale="log")),
    "a query without its id": of("heatmap", lambda p: p["targets"][0].pop("refId")),
    "an unknown key of a query": of("heatmap", lambda p: p["targets"][0].update(query="up")),
    "a table's option that is text": of("table", lambda p: p["options"].update(showHeader="yes")),
    "a state timeline without a legend": of("state-timeline", lambda p: p["options"].pop("legend")),
    "a link without its target": of("stat", lambda p: p["links"][0].pop("targetBlank")),
}


def module(dashboard):
    text = json.dumps(dashboard, indent=1, ensure_ascii=False)
    return f"import type {{ CheckedDashboard }} from './types.js';\n\nexport const dashboard: CheckedDashboard = {text};\n"


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    for old in folder.glob("*.ts"):
        old.unlink()
    for name in ("types.ts", "tsconfig.json", "package.json"):
        shutil.copy(HERE / name, folder)
    for file in DASHBOARDS:
        (folder / f"dashboard-{file.stem}.ts").write_text(module(json.loads(file.read_text())))
    wrong = {}
    for number, (what, make) in enumerate(MISTAKES.items()):
        dashboard = copy.deepcopy(json.loads(DASHBOARDS[0].read_text()))
        make(dashboard)
        wrong[f"mistake-{number}.ts"] = what
        (folder / f"mistake-{number}.ts").write_text(module(dashboard))

    run = subprocess.run(
        [folder / "node_modules/.bin/tsc", "--project", folder / "tsconfig.json", "--pretty", "false"],
        cwd=folder, capture_output=True, text=True,
    )
    found = re.findall(r"^(\S+?)\((\d+),\d+\): error (.*)$", run.stdout, re.MULTILINE)
    failures = [f"{file}:{line}: {error}" for file, line, error in found if file not in wrong]
    refused = {file for file, _, _ in found}
    failures += [f"the check does not bite: {what}" for file, what in wrong.items() if file not in refused]
    if run.returncode not in (0, 1, 2) or run.stderr or (run.returncode == 0 and wrong):
        failures.append(f"tsc ended with {run.returncode}: {run.stderr}{run.stdout[:2000]}")
    if failures:
        sys.exit("\n".join(failures))
    names = ", ".join(file.name for file in DASHBOARDS)
    print(f"types: {names} fit Grafana's types; {len(wrong)} mistakes are refused")


main()
