"""The dashboard: its variables, its rows in their order, and where each panel lies."""

import analytics
import broker
import gateways
import holders
import latency
import operators
import overview
import pool
import resources
import throughput

# Where the people on call read docs/runbook.md; prometheus.yml names the same address for the alerts.
RUNBOOK = "https://docs.cipherwatt.example/runbook.md"


def build():
    """The whole dashboard, as Grafana's JSON model."""
    return {
        "uid": "cipherwatt-overview",
        "title": "Cipherwatt",
        "description": "From encrypted readings to feeder totals: health, completeness, speed, size, rejections.",
        "tags": ["cipherwatt"],
        "schemaVersion": 42,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [_runbook()],
        "annotations": {"list": [_alerts()]},
        "templating": {"list": _variables()},
        "panels": _laid_out(
            [
                overview.row(),
                latency.row(),
                latency.stages(),
                throughput.row(),
                gateways.row(),
                broker.row(),
                analytics.row(),
                pool.row(),
                operators.row(),
                holders.row(),
                resources.row(),
            ]
        ),
    }


def _runbook():
    return {
        "title": "Runbook",
        "type": "link",
        "url": "${runbook}",
        "icon": "doc",
        "tooltip": "What each alert means and what to do",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
    }


def _alerts():
    return {
        "name": "Alerts",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "target": {
            "refId": "Annotation",
            "expr": 'ALERTS{alertname=~"Cipherwatt.+", alertstate="firing", severity="critical"}',
            "interval": "30s",
        },
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}}",
    }


def _variables():
    def labels(name, label, metric, description, every=".*"):
        query = f"label_values({metric}, {name})"
        return {
            "name": name,
            "label": label,
            "description": description,
            "type": "query",
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "query": {"query": query, "refId": f"Variable-{name}"},
            "refresh": 2,
            "sort": 7,
            "multi": True,
            "includeAll": True,
            "allValue": every,
            "current": {"text": ["All"], "value": ["$__all"]},
        }

    return [
        {
            "name": "datasource",
            "label": "Data source",
            "description": "The Prometheus that scrapes the processes",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
            "current": {"text": "Prometheus", "value": "cipherwatt-prometheus"},
        },
        labels("job", "Job", "cipherwatt_build_info", "Kind of process", "cipherwatt-.*"),
        labels("instance", "Instance", 'cipherwatt_build_info{job=~"$job"}', "One process"),
        labels("feeder", "Feeder", "cipherwatt_operator_feeder_completeness_ratio", "Feeders the operator labels"),
        {
            "name": "runbook",
            "label": "Runbook",
            "description": "Where docs/runbook.md is read",
            "type": "constant",
            "hide": 2,
            "query": RUNBOOK,
            "current": {"text": RUNBOOK, "value": RUNBOOK},
        },
    ]


def _laid_out(rows):
    """Places panels from left to right and top to bottom, row after row, and numbers them."""
    panels, y, number = [], 0, 0
    for title, collapsed, members in rows:
        number += 1
        row = {
            "type": "row",
            "id": number,
            "title": title,
            "collapsed": collapsed,
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
            "panels": [],
        }
        y += 1
        x, height, bottom = 0, 0, y
        for panel in members:
            number += 1
            grid = panel["gridPos"]
            if x + grid["w"] > 24:
                x, y = 0, y + height
                height = 0
            panel["id"] = number
            grid["x"], grid["y"] = x, y
            x, height = x + grid["w"], max(height, grid["h"])
            bottom = y + height
        panels.append(row)
        if collapsed:
            row["panels"] = members
            # A collapsed row is one line high, whatever it holds.
            y = row["gridPos"]["y"] + 1
        else:
            panels.extend(members)
            y = bottom
    return panels
