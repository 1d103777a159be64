"""How much passes through, in readings, reports, bytes and commits."""

from shapes import BAD, GOOD, NEUTRAL, WATCH, line, mean, rate, series


def row():
    return "Throughput", False, [
        series(
            "Readings", "Readings taken from meters per second.", "rps",
            [
                line(rate("cipherwatt_meter_readings_total"), "taken", "orange"),
                line(rate("cipherwatt_meter_readings_exported_total"), "of which exports", "light-green"),
            ],
        ),
        series(
            "Reports published and received", "Reports per second between gateways and analytics. A report that is "
            "published twice is received twice, and counted once as folded.", "reqps",
            [
                line(rate("cipherwatt_meter_reports_published_total"), "published", "orange"),
                line(rate("cipherwatt_meter_reports_resent_total"), "of which again", WATCH),
                line(rate("cipherwatt_analytics_reports_received_total"), "received", "purple"),
                line(rate("cipherwatt_analytics_reports_folded_total"), "folded", GOOD),
                line(rate("cipherwatt_analytics_reports_duplicate_total"), "duplicates", NEUTRAL),
                line(rate("cipherwatt_meter_reports_rejected_total"), "refused by a receipt", BAD),
            ],
        ),
        series(
            "Bytes of reports", "Bytes per second: of reports sealed by gateways and received by analytics, and of sums received "
            "by the operator.", "Bps",
            [
                line(rate("cipherwatt_meter_sealed_bytes_total"), "sealed", "orange"),
                line(rate("cipherwatt_analytics_received_bytes_total"), "received", GOOD),
                line(rate("cipherwatt_operator_received_bytes_total"), "sums at the operator", NEUTRAL),
            ],
        ),
        series(
            "Reports per commit", "Reports in one commit of analytics, on average. It grows with the load.",
            "short", [line(mean("cipherwatt_analytics_commit_reports"), "mean", GOOD)], size=(8, 7),
        ),
        series(
            "MQTT messages, by process", "Messages per second that each process received and published.", "reqps",
            [
                line(rate("cipherwatt_mqtt_messages_received_total", "job, instance"), "{{job}} {{instance}} received"),
                line(rate("cipherwatt_mqtt_messages_published_total", "job, instance"), "{{job}} {{instance}} published"),
            ],
            size=(8, 7),
        ),
        series(
            "MQTT payload, by process", "Bytes per second that each process received and published.", "Bps",
            [
                line(rate("cipherwatt_mqtt_received_bytes_total", "job, instance"), "{{job}} {{instance}} received"),
                line(rate("cipherwatt_mqtt_published_bytes_total", "job, instance"), "{{job}} {{instance}} published"),
            ],
            size=(8, 7),
        ),
    ]
