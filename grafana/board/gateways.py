"""What gateways hold, and what happens to readings."""

from shapes import BAD, GOOD, NEUTRAL, WATCH, line, percentiles, rate, series, total


def row():
    return "Gateways", False, [
        series(
            "Outboxes", "Reports without a receipt; those of them that are sealed; and the meters behind the gateways. "
            "A healthy outbox empties between windows.", "short",
            [
                line(total("cipherwatt_meter_outbox_reports"), "in outboxes", "orange"),
                line(total("cipherwatt_meter_unreceipted_reports"), "sealed and on their way", "purple"),
                line(total("cipherwatt_meter_meters"), "meters", NEUTRAL),
            ],
            links=[("outbox growing", "cipherwattoutboxgrowing"), ("outbox full", "cipherwattoutboxfull")],
        ),
        series(
            "Readings clamped and missing", "Share of the readings that were clamped to the declared capacity, and of "
            "those that never came: their intervals have fewer readings in the total.", "percentunit",
            [
                line(f"{rate('cipherwatt_meter_readings_clamped_total')} / ({rate('cipherwatt_meter_readings_total')} > 0)",
                     "clamped", WATCH),
                line(f"{rate('cipherwatt_meter_readings_missing_total')} / ({rate('cipherwatt_meter_readings_total')} > 0)",
                     "missing", BAD),
            ],
            links=[("readings clamped", "cipherwattreadingsclamped"), ("readings missing", "cipherwattreadingsmissing")],
        ),
        series(
            "Receipts", "Per second: what receipts said about reports; messages on the receipt topic that are not a receipt "
            "from an analytics service of the plan; and reports refused for good, whose readings are in no total.", "reqps",
            [
                line(rate("cipherwatt_meter_receipts_total"), "receipts", NEUTRAL),
                line(rate("cipherwatt_meter_receipts_refused_total"), "not a receipt", WATCH),
                line(rate("cipherwatt_meter_reports_lost_total"), "lost for good", BAD),
                line(rate("cipherwatt_meter_reports_settled_total", "status"), "{{status}}"),
                line(rate("cipherwatt_meter_reports_rejected_total", "reason") + " > 0", "refused: {{reason}}"),
            ],
            links=[("reports lost", "cipherwattreportslost")],
        ),
        percentiles(
            "Journal commits", "Time of one commit of a gateway's journal. A reading is accepted once it is committed.",
            "cipherwatt_meter_journal_commit_duration_seconds", size=(12, 7),
            links=[("journal failing", "cipherwattjournalfailing")],
        ),
        series(
            "Journal", "Commits of the journal per second, and those that failed and are tried again.", "ops",
            [
                line(rate("cipherwatt_meter_journal_commits_total"), "commits", GOOD),
                line(rate("cipherwatt_meter_journal_failures_total"), "failures", BAD),
            ],
            size=(12, 7), links=[("journal failing", "cipherwattjournalfailing")],
        ),
        series(
            "Kept reports", "Reports that are in sums and kept until these are released, and their bytes; and reports per second "
            "whose readings were rounded again for a coarser plan.", "short",
            [
                line(total("cipherwatt_meter_kept_reports"), "kept", "orange"),
                line(total("cipherwatt_meter_kept_bytes") + " / 1e6", "MB", NEUTRAL),
                line(rate("cipherwatt_meter_reports_entered_again_total"), "rounded again a second", WATCH),
            ],
            size=(12, 7),
        ),
        series(
            "Kept reports, by end", "Reports per second that are no longer kept: their sum is released or refused, or failed and "
            "they are wanted again, or they were too old or too many.", "reqps",
            [line(rate("cipherwatt_meter_kept_ended_total", "why"), "{{why}}")],
            size=(12, 7),
        ),
        series(
            "Live readings", "Readings that meters send, per second, by what became of them; those refused, by reason; meters "
            "that were swapped or set back; and readings that wait for their intervals.", "short",
            [
                line(rate("cipherwatt_meter_live_readings_total", "result") + " > 0", "{{result}}"),
                line(rate("cipherwatt_meter_live_refused_total", "reason") + " > 0", "refused: {{reason}}"),
                line(rate("cipherwatt_meter_live_swaps_total") + " > 0", "swaps", WATCH),
                line(total("cipherwatt_meter_live_kept_readings") + " > 0", "waiting", NEUTRAL),
            ],
            size=(24, 7),
        ),
    ]
