"""The broker, and every process's connection to it."""

from shapes import BAD, GOOD, NEUTRAL, WATCH, line, percentiles, rate, series, total


def row():
    return "Broker", False, [
        series(
            "Connections", "Clients connected to the broker, and connections that each process has.", "short",
            [
                line(total("cipherwatt_broker_connections"), "at the broker", "purple"),
                line(total("cipherwatt_mqtt_connections", "job, instance"), "{{job}} {{instance}}"),
            ],
            links=[("disconnected", "cipherwattdisconnected")],
        ),
        series(
            "Messages", "Messages per second into and out of the broker, as its clients count them: acknowledged and "
            "received, over all processes.", "reqps",
            [
                line(rate("cipherwatt_mqtt_messages_published_total"), "in", "orange"),
                line(rate("cipherwatt_mqtt_messages_received_total"), "out", GOOD),
            ],
        ),
        series(
            "Payload", "Bytes per second into and out of the broker, as its clients count them.", "Bps",
            [
                line(rate("cipherwatt_mqtt_published_bytes_total"), "in", "orange"),
                line(rate("cipherwatt_mqtt_received_bytes_total"), "out", GOOD),
            ],
        ),
        percentiles(
            "Broker probe", "Time of the broker's own message through its router and back, every five seconds.",
            "cipherwatt_broker_probe_duration_seconds", size=(6, 7),
            links=[("broker stalled", "cipherwattbrokerstalled")],
        ),
        series(
            "Connections lost", "Per second: connections made again, and connections lost or refused, by reason.", "cps",
            [
                line(rate("cipherwatt_mqtt_reconnects_total"), "made again", NEUTRAL),
                line(rate("cipherwatt_mqtt_failures_total", "reason") + " > 0", "lost: {{reason}}"),
            ],
            size=(6, 7), links=[("reconnect storm", "cipherwattreconnectstorm")],
        ),
        series(
            "Waiting messages", "In each process: received and not yet processed; published and not yet acknowledged.",
            "short",
            [
                line(total("cipherwatt_mqtt_inbox_messages", "job, instance"), "{{job}} {{instance}} received"),
                line(total("cipherwatt_mqtt_in_flight_messages", "job, instance"), "{{job}} {{instance}} published"),
            ],
            size=(6, 7), links=[("inbox drops", "cipherwattinboxdrops")],
        ),
        series(
            "Repeated and dropped", "Messages per second: sent again over a new connection; acknowledged early to keep "
            "publishing possible; dropped because an inbox was full; probes of the broker that did not come back.", "reqps",
            [
                line(rate("cipherwatt_mqtt_messages_repeated_total"), "repeated", WATCH),
                line(rate("cipherwatt_mqtt_early_acknowledgements_total"), "acknowledged early", NEUTRAL),
                line(rate("cipherwatt_mqtt_inbox_dropped_total"), "dropped from an inbox", BAD),
                line(rate("cipherwatt_broker_probe_failures_total"), "probes lost", "dark-red"),
            ],
            size=(6, 7), links=[("inbox drops", "cipherwattinboxdrops")],
        ),
    ]
