"""The broker, and every process's connection to it."""

from shapes import BAD, GOOD, NEUTRAL, PROCESS, WATCH, line, percentiles, rate, series, total


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
            "Messages", "Messages per second into and out of the broker, as it counts them itself: taken from publishers and "
            "sent to subscribers.", "reqps",
            [
                line(rate("cipherwatt_broker_messages_received_total"), "in", "orange"),
                line(rate("cipherwatt_broker_messages_sent_total"), "out", GOOD),
            ],
        ),
        series(
            "Messages of the processes", "The same as the processes count them: acknowledged and received, over all of them. With "
            "another broker there is only this.", "reqps",
            [
                line(rate("cipherwatt_mqtt_messages_published_total"), "in", "orange"),
                line(rate("cipherwatt_mqtt_messages_received_total"), "out", GOOD),
            ],
        ),
        series(
            "Payload", "Bytes per second into and out of the broker, as it counts them, and as the processes do.", "Bps",
            [
                line(rate("cipherwatt_broker_received_bytes_total"), "in", "orange"),
                line(rate("cipherwatt_broker_sent_bytes_total"), "out", GOOD),
                line(rate("cipherwatt_mqtt_published_bytes_total"), "in, by processes", WATCH),
                line(rate("cipherwatt_mqtt_received_bytes_total"), "out, by processes", NEUTRAL),
            ],
        ),
        series(
            "Refused by the broker", "Per second, by reason: connections, packets, messages and subscriptions that a limit or a "
            "rule kept out.", "reqps",
            [line(rate("cipherwatt_broker_refused_total", "reason") + " > 0", "{{reason}}")],
            size=(6, 7), links=[("broker refuses", "cipherwattbrokerrefuses")],
        ),
        series(
            "Held back", "Messages that wait in front of the router, unacknowledged, because a required subscriber is a log "
            "behind: bytes now, and messages per second.", "short",
            [
                line(total("cipherwatt_broker_held_bytes"), "bytes", WATCH),
                line(rate("cipherwatt_broker_messages_held_total"), "messages a second", NEUTRAL),
            ],
            size=(6, 7), links=[("broker overrun", "cipherwattbrokeroverrun")],
        ),
        series(
            "Missed by a required subscriber", "Messages a second that a log dropped before they were read, and required "
            "subscribers that were away for too long: both must stay 0.", "reqps",
            [
                line(rate("cipherwatt_broker_overruns_total"), "missed", BAD),
                line(rate("cipherwatt_broker_required_given_up_total"), "given up", "dark-red"),
            ],
            size=(6, 7), links=[("broker overrun", "cipherwattbrokeroverrun")],
        ),
        series(
            "Kept by the broker", "Sessions (also of clients that are away), retained messages and distinct topics; TLS handshakes "
            "a second.", "short",
            [
                line(total("cipherwatt_broker_sessions"), "sessions", "purple"),
                line(total("cipherwatt_broker_retained_messages"), "retained", NEUTRAL),
                line(total("cipherwatt_broker_topics"), "topics", "orange"),
                line(rate("cipherwatt_broker_tls_handshakes_total"), "TLS handshakes a second", GOOD),
            ],
            size=(6, 7),
        ),
        series(
            "Certificates", "Time until the first certificate ends: of the broker, of the authorities that sign its clients', and of "
            "connected clients. Empty without TLS.", "s",
            [
                line(
                    f"min by (certificate) (cipherwatt_broker_certificate_valid_until_seconds{{{PROCESS}}} > 0) - time()",
                    "{{certificate}}",
                ),
            ],
            size=(6, 7), links=[("certificate ends", "cipherwattcertificateends")],
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
