"""Health, completeness, speed, size and rejections at a glance."""

from shapes import BAD, GOOD, NEUTRAL, PLAIN, PROCESS, WATCH, line, rate, series, stat, states, thresholds, total


def row():
    return "Overview", False, [
        stat(
            "Alerts firing", "Cipherwatt's alerts that are firing now, over all processes.", "none",
            'count(ALERTS{alertname=~"Cipherwatt.+", alertstate="firing"})',
            thresholds((None, GOOD), (1, BAD)), none="0", links=[("all alerts", "alerts")], graph=False,
        ),
        stat(
            "Processes down", "Processes that Prometheus cannot scrape.", "none",
            f"sum(1 - up{{{PROCESS}}})", thresholds((None, GOOD), (1, BAD)), decimals=0,
            links=[("process down", "cipherwattprocessdown")],
        ),
        stat(
            "Completeness", "Readings in the newest totals, as a share of those that enrolled meters could have, averaged over feeders.", "percentunit",
            "cipherwatt:completeness:ratio", thresholds((None, BAD), (0.9, WATCH), (0.98, GOOD)), decimals=1,
            links=[("completeness low", "cipherwattcompletenesslow")],
        ),
        stat(
            "End to end, p99", "Time from sealing the newest report of a sum to its total, over five minutes.", "s",
            "cipherwatt:end_to_end_seconds:p99_5m", thresholds((None, GOOD), (60, WATCH), (120, BAD)),
            links=[("end to end slow", "cipherwattendtoendslow")],
        ),
        stat(
            "Folded", "Reports added to sums per second, over five minutes.", "reqps",
            "cipherwatt:reports_folded:rate5m", thresholds((None, NEUTRAL)),
            links=[("nothing folded", "cipherwattnothingfolded")],
        ),
        stat(
            "Rejected", "Share of the received reports that were refused, over five minutes.", "percentunit",
            "cipherwatt:reports_rejected:ratio5m", thresholds((None, GOOD), (0.001, WATCH), (0.01, BAD)),
            links=[("reports rejected", "cipherwattreportsrejected")],
        ),
        stat(
            "In outboxes", "Reports without a receipt, over all gateways.", "short",
            total("cipherwatt_meter_outbox_reports"), PLAIN,
            links=[("outbox growing", "cipherwattoutboxgrowing")],
        ),
        stat(
            "Meters enrolled", "Meters in the roster.", "short",
            f"max(cipherwatt_operator_enrolled_meters{{{PROCESS}}})", PLAIN, graph=False,
        ),
        states(
            "Health", "Whether each process is scraped and connected, the broker routes, and gateways take readings.",
            [
                line(f"up{{{PROCESS}}}", "{{job}} {{instance}} is up"),
                line(f"max by (instance) (cipherwatt_broker_up{{{PROCESS}}})", "broker {{instance}} routes"),
                line(f"max by (job, instance) (cipherwatt_mqtt_connections{{{PROCESS}}}) > bool 0",
                     "{{job}} {{instance}} is connected"),
                line(f"1 - max by (instance) (cipherwatt_meter_outbox_full{{{PROCESS}}})",
                     "gateway {{instance}} has room"),
                line(f"1 - max by (instance) (cipherwatt_meter_journal_failing{{{PROCESS}}})",
                     "gateway {{instance}} can write"),
            ],
        ),
        series(
            "Reports along the path", "Reports per second at five stages: readings in the journal, sealed, folded, settled by a "
            "receipt, and covered by totals. In the long run all five are the same.",
            "reqps",
            [
                line(rate("cipherwatt_meter_reports_accepted_total"), "accepted", "yellow"),
                line(rate("cipherwatt_meter_reports_sealed_total"), "sealed", "orange"),
                line(rate("cipherwatt_analytics_reports_folded_total"), "folded", GOOD),
                line(rate("cipherwatt_meter_reports_settled_total"), "settled by a receipt", "purple"),
                line(rate("cipherwatt_operator_reports_covered_total"), "in totals", NEUTRAL),
            ],
        ),
        series(
            "Rejected reports, by reason", "Reports that analytics refused, per second. Reasons at zero are left out.",
            "reqps",
            [line(rate("cipherwatt_analytics_reports_rejected_total", "reason") + " > 0", "{{reason}}")],
            stack=True, bars=True, links=[("reports rejected", "cipherwattreportsrejected")],
        ),
    ]
