"""What Grafana's types cannot say about a dashboard, and that each rule bites.

    python3 grafana/check/lint.py

Units, descriptions, places on the grid, data sources and variables, rates, links to the runbook; and that provisioning,
compose file and Prometheus agree with each other and stay on loopback. Each of MISTAKES is made in turn in a copy of the
dashboard and must be found.
"""

import copy
import json
import re
import sys

import yaml

from expressions import DASHBOARDS, GRAFANA, RULES, panels

RUNBOOK = GRAFANA.parent / "docs" / "runbook.md"
BUILT_IN = {"__rate_interval", "__interval", "__range", "__all", "__from", "__to"}


def anchors():
    """The anchors of the runbook's sections, as GitHub and most renderers make them."""
    heads = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


def lint(dashboard, sections):
    """Everything that is wrong with a dashboard."""
    yield from identity(dashboard)
    for panel in panels(dashboard):
        for wrong in of_panel(panel, sections):
            yield f"panel {panel.get('title')!r}: {wrong}"
    yield from grid(dashboard)
    yield from variables(dashboard)
    yield from sources(dashboard, "the dashboard")


def identity(dashboard):
    """What the dashboard must say of itself."""
    if not re.fullmatch(r"[a-z0-9-]{8,40}", dashboard.get("uid") or ""):
        yield "uid is not 8 to 40 of a-z, 0-9 and -"
    for key in ("title", "description", "tags", "refresh", "time"):
        if not dashboard.get(key):
            yield f"no {key}"
    if dashboard.get("id") is not None:
        yield "id belongs to one Grafana; leave it out"
    numbers = [panel["id"] for panel in [*panels(dashboard), *rows(dashboard)]]
    if len(numbers) != len(set(numbers)):
        yield "two panels have the same id"
    titles = [panel["title"] for panel in panels(dashboard)]
    for row in rows(dashboard):
        if not row.get("title"):
            yield "a row has no title"
    if len(titles) == 0:
        yield "no panels"


def rows(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] == "row"]


def of_panel(panel, sections):
    """What every panel needs."""
    if len(panel.get("description") or "") < 12:
        yield "no description"
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("unit"):
        yield "no unit"
    ids = [target["refId"] for target in panel["targets"]]
    if not ids or len(ids) != len(set(ids)):
        yield "no query, or two of one id"
    for target in panel["targets"]:
        expr = target["expr"]
        for window in re.findall(r"\b(?:rate|irate|increase)\s*\([^[\]]*\[([^\]]*)\]", expr):
            if window != "$__rate_interval":
                yield f"rate over [{window}], not [$__rate_interval]: {expr}"
        if re.search(r"\bvector\s*\(|\bor\b|\babsent\b", expr):
            yield f"invents data where there is none, which hides a renamed metric: {expr}"
        if "cipherwatt_" in expr and not ("$job" in expr and "$instance" in expr):
            yield f"does not select by $job and $instance: {expr}"
        if "feeder=~" not in expr and "cipherwatt_operator_feeder_" in expr:
            yield f"does not select by $feeder: {expr}"
        if panel["type"] not in ("table", "stat") and not target["legendFormat"]:
            yield f"no legend: {expr}"
    steps = (defaults.get("thresholds") or {}).get("steps", [])
    if steps and (steps[0]["value"] is not None or [s["value"] for s in steps[1:]] != sorted(s["value"] for s in steps[1:])):
        yield "thresholds do not rise from null"
    for link in panel.get("links") or []:
        base, _, anchor = link["url"].partition("#")
        if base != "${runbook}":
            yield f"a link to {base}, not to ${{runbook}}"
        elif anchor not in sections:
            yield f"the runbook has no section #{anchor}"


def grid(dashboard):
    """Panels lie within 24 columns and nowhere on each other; those of a collapsed row count for themselves."""
    groups = [dashboard["panels"]] + [row["panels"] for row in rows(dashboard) if row["panels"]]
    for group in groups:
        taken = {}
        for panel in group:
            place = panel["gridPos"]
            if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > 24:
                yield f"panel {panel['title']!r} is not within 24 columns"
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    other = taken.setdefault((x, y), panel["title"])
                    if other is not panel["title"]:
                        yield f"panels {other!r} and {panel['title']!r} overlap"
                        return
    for row in rows(dashboard):
        if bool(row["panels"]) != row["collapsed"]:
            yield f"row {row['title']!r}: panels lie in it if and only if it is collapsed"


def variables(dashboard):
    """Every variable that is used exists, and every one that exists is used."""
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = json.dumps(dashboard)
    used = {a or b for a, b in re.findall(r"\$(?:\{(\w+)[^}]*\}|(\w+))", text)}
    for name in sorted(used - known - BUILT_IN):
        yield f"undefined variable ${name}"
    for name in sorted(known - used):
        yield f"variable ${name} is not used"
    for name in sorted({"datasource", "job", "instance", "feeder"} - known):
        yield f"no variable {name}"


def sources(value, where):
    """No data source but the variable, wherever it stands."""
    if isinstance(value, dict):
        source = value.get("datasource")
        if "datasource" in value and (not isinstance(source, dict) or source.get("uid") != "${datasource}"):
            yield f"hard-wired data source in {value.get('title') or value.get('name') or where}: {source}"
        for key, one in value.items():
            yield from sources(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from sources(one, where)


def around(dashboard, sections):
    """What stands beside the dashboard and must agree with it."""
    load = lambda path: yaml.safe_load((GRAFANA / path).read_text())
    prometheus = load("prometheus/prometheus.yml")
    [source] = load("provisioning/datasources/prometheus.yaml")["datasources"]
    [provider] = load("provisioning/dashboards/cipherwatt.yaml")["providers"]
    constants = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    if source["jsonData"]["timeInterval"] != prometheus["global"]["scrape_interval"]:
        yield "the data source's timeInterval is not the scrape interval, so $__rate_interval would be wrong"
    if constants["datasource"]["current"]["value"] != source["uid"]:
        yield "the dashboard does not begin with the provisioned data source"
    if constants["runbook"]["query"] != prometheus["global"]["external_labels"]["runbook"]:
        yield "dashboard and alerts name different addresses of the runbook"
    services = load("compose.yaml")["services"]
    mounts = [volume.split(":")[1] for service in services.values() for volume in service.get("volumes", [])]
    if provider["options"]["path"] not in mounts:
        yield f"compose.yaml mounts no dashboards at {provider['options']['path']}"
    for name, service in services.items():
        if not re.search(r":v?\d+\.\d+\.\d+$", service["image"]):
            yield f"compose.yaml: the image of {name} is not pinned"
        if service.get("network_mode") != "host":
            yield f"compose.yaml: {name} is not on the host's network, where the processes listen on loopback"
    text = (GRAFANA / "compose.yaml").read_text()
    for setting in ("--web.listen-address=127.0.0.1:9090", "GF_SERVER_HTTP_ADDR: 127.0.0.1"):
        if setting not in text:
            yield f"compose.yaml: {setting} is missing: it must listen on loopback only"
    for job in prometheus["scrape_configs"]:
        for target in [target for static in job["static_configs"] for target in static["targets"]]:
            if not target.startswith("127.0.0.1:"):
                yield f"prometheus.yml scrapes {target}, which is not loopback"
    names = set()
    for file in RULES:
        for rule in [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]:
            if "alert" in rule:
                names.add(rule["alert"].lower())
                yield from of_alert(rule, sections)
    titles = {panel["title"] for panel in panels(dashboard)}
    for title in sorted(set(re.findall(r"(?<!\*)\*([A-Z0-9][^*]+)\*(?!\*)", RUNBOOK.read_text().replace("\n  ", " ")))):
        if title not in titles:
            yield f"the runbook sends people to a panel {title!r}, which is not there"
    for section in sorted(sections):
        if section.startswith("cipherwatt") and section not in names and section != "cipherwatt-runbook":
            yield f"the runbook has a section #{section}, and there is no such alert"


def of_alert(rule, sections):
    """What every alert needs."""
    name, notes = rule["alert"], rule.get("annotations", {})
    if rule.get("labels", {}).get("severity") not in ("critical", "warning"):
        yield f"{name}: severity is neither critical nor warning"
    for key in ("summary", "description"):
        if not notes.get(key):
            yield f"{name}: no {key}"
    anchor = notes.get("runbook_url", "").removeprefix("{{ $externalLabels.runbook }}#")
    if anchor != name.lower() or anchor not in sections:
        yield f"{name}: runbook_url does not name a section of docs/runbook.md"


def shown(dashboard, title):
    return next(panel for panel in panels(dashboard) if panel["title"] == title)


def _of(title, change):
    return lambda dashboard: change(shown(dashboard, title))


def _expr(title, old, new):
    def change(panel):
        panel["targets"][0]["expr"] = panel["targets"][0]["expr"].replace(old, new)

    return _of(title, change)


MISTAKES = {
    "no unit": _of("Readings", lambda p: p["fieldConfig"]["defaults"].pop("unit")),
    "no description": _of("Readings", lambda p: p.update(description="")),
    "overlap": _of("Readings", lambda p: p["gridPos"].update(w=9)),
    "overlap in a collapsed row": _of("Fold: percentiles", lambda p: p["gridPos"].update(h=8)),
    "beyond the grid": _of("Bytes of reports", lambda p: p["gridPos"].update(w=10)),
    "a hard-wired data source": _of("Readings", lambda p: p.update(datasource={"type": "prometheus", "uid": "P1809F7CD0"})),
    "a hard-wired data source of a query": _of("Store", lambda p: p["targets"][0].update(datasource="Prometheus")),
    "an undefined variable": _expr("Store", "$instance", "$host"),
    "a variable that is not used": lambda d: d["templating"]["list"].append({"name": "gateway", "type": "textbox"}),
    "a variable missing": lambda d: d["templating"]["list"].pop(3),
    "a fixed rate": _expr("Readings", "$__rate_interval", "5m"),
    "invented zeros": _of("Store", lambda p: p["targets"][0].update(expr=p["targets"][0]["expr"] + " or vector(0)")),
    "processes not selected": _expr("Readings", 'instance=~"$instance"', ""),
    "feeders not selected": _expr("Quantum, by feeder", ', feeder=~"$feeder"', ""),
    "an anchor that the runbook lacks": _of("Processes down", lambda p: p["links"][0].update(url="${runbook}#nowhere")),
    "a link past the variable": _of("Processes down", lambda p: p["links"][0].update(url="https://example.org/#alerts")),
    "two panels of one id": _of("Readings", lambda p: p.update(id=1)),
    "falling thresholds": _of("Rejected", lambda p: p["fieldConfig"]["defaults"]["thresholds"]["steps"].reverse()),
    "an unstable uid": lambda d: d.update(uid=None),
    "an id of one Grafana": lambda d: d.update(id=7),
}


def main():
    sections, failures = anchors(), []
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text())
        failures += [f"{file.name}: {wrong}" for wrong in [*lint(dashboard, sections), *around(dashboard, sections)]]
    for what, make in MISTAKES.items():
        dashboard = copy.deepcopy(json.loads(DASHBOARDS[0].read_text()))
        make(dashboard)
        if not list(lint(dashboard, sections)):
            failures.append(f"the lint does not bite: {what}")
    if failures:
        sys.exit("\n".join(f"lint: {failure}" for failure in failures))
    count = sum(1 for file in DASHBOARDS for _ in panels(json.loads(file.read_text())))
    print(f"lint: {count} panels are in order; {len(MISTAKES)} mistakes are found")


main()
