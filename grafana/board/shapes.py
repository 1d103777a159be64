"""The shapes of panels: what all panels of one kind have in common, so that a row lists only what differs.

Sizes are in Grafana's grid, 24 columns wide. Every panel takes a description and a unit; the lint refuses it otherwise.
"""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# One colour for one meaning, on every panel.
GOOD, WATCH, BAD, NEUTRAL = "green", "orange", "red", "blue"
ROLES = {"meter": "orange", "broker": "purple", "analytics": "green", "operator": "blue", "holder": "yellow"}
PERCENTILES = ((0.5, "light-blue"), (0.95, "blue"), (0.99, "dark-blue"))

# What the variables of the dashboard select.
PROCESS = 'job=~"$job", instance=~"$instance"'
FEEDER = PROCESS + ', feeder=~"$feeder"'


def rate(metric, by="", more=""):
    """Increase of a counter a second, over the processes selected."""
    group = f" by ({by})" if by else ""
    return f"sum{group} (rate({metric}{{{PROCESS}{more}}}[$__rate_interval]))"


def total(metric, by=""):
    """Sum of a gauge over the processes selected."""
    group = f" by ({by})" if by else ""
    return f"sum{group} ({metric}{{{PROCESS}}})"


def quantile(q, histogram):
    """A percentile of a classic histogram, given without its suffix."""
    return f"histogram_quantile({q}, {rate(histogram + '_bucket', 'le')})"


def mean(histogram):
    """Mean of a histogram; nothing, rather than NaN, while nothing is observed."""
    return f"{rate(histogram + '_sum')} / ({rate(histogram + '_count')} > 0)"


def line(expr, legend, colour=None):
    """One query of a panel, and the colour of its only series; None: the palette."""
    return {"expr": expr, "legend": legend, "colour": colour}


def by_role(expr):
    """A query that gives a series a process."""
    return line(expr, "{{job}} {{instance}}")


def thresholds(*steps):
    """Steps of (from, colour); the first begins at minus infinity, which is null in JSON."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


PLAIN = thresholds((None, NEUTRAL))


def _targets(lines, **extra):
    return [
        {
            "refId": chr(ord("A") + n),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": one["expr"],
            "legendFormat": one["legend"],
            "range": True,
        }
        | extra
        for n, one in enumerate(lines)
    ]


def _panel(kind, title, description, size, targets, options, defaults, overrides=(), links=()):
    width, height = size
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"h": height, "w": width, "x": 0, "y": 0},
        "links": [runbook(title, anchor) for title, anchor in links],
        "targets": targets,
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
    }


def runbook(title, anchor):
    """A link to a section of the runbook."""
    return {
        "title": f"Runbook: {title}",
        "type": "link",
        "url": f"${{runbook}}#{anchor}",
        "icon": "doc",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
    }


def _fixed(matcher, options, colour):
    value = {"mode": "fixed", "fixedColor": colour}
    return {"matcher": {"id": matcher, "options": options}, "properties": [{"id": "color", "value": value}]}


def _role_colours():
    return [_fixed("byRegexp", f"^cipherwatt-{role} .*", colour) for role, colour in ROLES.items()]


def stat(title, description, unit, expr, steps, *, size=(3, 4), decimals=None, none="-", links=(), graph=True):
    """One number that is red, orange or green by `steps`."""
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": steps, "noValue": none}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "textMode": "value",
        "colorMode": "background",
        "graphMode": "area" if graph else "none",
        "justifyMode": "center",
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
        "wideLayout": True,
    }
    targets = _targets([line(expr, title)])
    return _panel("stat", title, description, size, targets, options, defaults, links=links)


def series(title, description, unit, lines, *, size=(8, 8), stack=False, log=False, calcs=("lastNotNull", "max"),
           least=0, most=None, links=(), bars=False, decimals=None):
    """Lines over time, with a legend that is a table."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 0 if bars else 1,
        "fillOpacity": 70 if bars else 25 if stack else 8,
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        "axisPlacement": "auto",
        "axisLabel": "",
    }
    defaults = {"unit": unit, "color": {"mode": "palette-classic-by-name"}, "custom": custom, "thresholds": PLAIN}
    if least is not None and not log:
        defaults["min"] = least
    if most is not None:
        defaults["max"] = most
    if decimals is not None:
        defaults["decimals"] = decimals
    overrides = [
        _fixed("byFrameRefID", chr(ord("A") + n), one["colour"]) for n, one in enumerate(lines) if one["colour"]
    ]
    if any("{{job}}" in one["legend"] for one in lines):
        overrides += _role_colours()
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": list(calcs),
                   "sortBy": "Max" if "max" in calcs else "Last *", "sortDesc": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, description, size, _targets(lines), options, defaults, overrides, links)


def percentiles(title, description, histogram, *, size=(8, 8), more=(), links=()):
    """Median, 95th and 99th percentile of a histogram of seconds."""
    description += " Gaps are times without a sample."
    lines = [line(quantile(q, histogram), f"p{q * 100:.0f}", colour) for q, colour in PERCENTILES]
    return series(title, description, "s", lines + list(more), size=size, links=links)


def heatmap(title, description, unit, histogram, *, size=(8, 8)):
    """How many observations fell into each bucket, over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "cps", "decimals": 1},
        "color": {"mode": "scheme", "scheme": "Turbo", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5,
                  "reverse": False, "steps": 64},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    expr = rate(histogram + "_bucket", "le")
    targets = _targets([line(expr, "{{le}}")], format="heatmap")
    defaults = {"unit": unit, "custom": {"scaleDistribution": {"type": "linear"}}}
    return _panel("heatmap", title, description, size, targets, options, defaults)


def states(title, description, lines, *, size=(8, 8), links=()):
    """Coloured bars of what is well (1) and what is not (0)."""
    mapping = {"0": {"text": "no", "color": BAD, "index": 1}, "1": {"text": "yes", "color": GOOD, "index": 0}}
    defaults = {
        "unit": "bool_yes_no",
        "color": {"mode": "thresholds"},
        "thresholds": thresholds((None, BAD), (1, GOOD)),
        "mappings": [{"type": "value", "options": mapping}],
        "custom": {"fillOpacity": 75, "lineWidth": 0},
    }
    options = {
        "alignValue": "left",
        "mergeValues": True,
        "rowHeight": 0.85,
        "showValue": "never",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("state-timeline", title, description, size, _targets(lines), options, defaults, links=links)


def table(title, description, columns, key, *, size=(24, 8), links=()):
    """One row a value of the label `key`; columns of (heading, unit, expression)."""
    targets = [
        target | {"format": "table", "instant": True, "range": False}
        for target in _targets([line(expr, heading) for heading, _, expr in columns])
    ]
    renamed = {f"Value #{target['refId']}": heading for target, (heading, _, _) in zip(targets, columns)}
    renamed[key] = key.capitalize()
    overrides = [
        {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
        for heading, unit, _ in columns
    ]
    defaults = {"unit": "none", "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}}
    options = {"cellHeight": "sm", "frameIndex": 0, "showHeader": True,
               "sortBy": [{"displayName": columns[0][0], "desc": True}]}
    panel = _panel("table", title, description, size, targets, options, defaults, overrides, links)
    order = {key: 0} | {f"Value #{target['refId']}": n + 1 for n, target in enumerate(targets)}
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize",
         "options": {"excludeByName": {"Time": True}, "renameByName": renamed, "indexByName": order}},
    ]
    return panel
