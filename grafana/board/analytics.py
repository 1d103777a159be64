"""Sums: open, due, released, held, and the store that holds them."""

from shapes import BAD, GOOD, NEUTRAL, WATCH, line, rate, series, total


def row():
    return "Analytics", False, [
        series(
            "Work in progress", "Sums that take reports; reports received and not yet committed; releases without the "
            "operator's receipt.", "short",
            [
                line(total("cipherwatt_analytics_open_sums"), "open sums", GOOD),
                line(total("cipherwatt_analytics_queue_reports"), "reports in the queue", "orange"),
                line(total("cipherwatt_analytics_unsettled_releases"), "unsettled releases", NEUTRAL),
            ],
            links=[("releases unsettled", "cipherwattreleasesunsettled")],
        ),
        series(
            "Sums, by result", "Sums per second: released, settled by the operator, asked for again in parts because they did not "
            "open, or refused for good; held because of too few meters; withheld for good, after their retention or with a handover.", "ops",
            [
                line(rate("cipherwatt_analytics_releases_total"), "released", GOOD),
                line(rate("cipherwatt_analytics_releases_settled_total"), "settled", NEUTRAL),
                line(rate("cipherwatt_analytics_releases_divided_total"), "did not open", "dark-orange"),
                line(rate("cipherwatt_analytics_releases_refused_total"), "refused for good", "dark-red"),
                line(rate("cipherwatt_analytics_sums_held_total"), "held", WATCH),
                line(rate("cipherwatt_analytics_sums_withheld_total"), "withheld for good", BAD),
            ],
            links=[("sums held", "cipherwattsumsheld"), ("sums withheld", "cipherwattsumswithheld")],
        ),
        series(
            "Bills", "Per second: reports added to bills; bills sent, those sent again included; taken by the operator; withheld, because a "
            "tariff band has too few intervals; refused, by reason.", "ops",
            [
                line(rate("cipherwatt_analytics_billed_reports_total"), "reports billed", NEUTRAL),
                line(rate("cipherwatt_analytics_bills_sent_total"), "sent", "light-blue"),
                line(rate("cipherwatt_analytics_bills_settled_total"), "taken", GOOD),
                line(rate("cipherwatt_analytics_bills_withheld_total"), "withheld", WATCH),
                line(rate("cipherwatt_analytics_bills_refused_total", "reason") + " > 0", "refused: {{reason}}"),
            ],
            links=[("bills refused", "cipherwattbillsrefused")],
        ),
        series(
            "Store", "Size of analytics' file of sums, contributors and releases.", "bytes",
            [line(total("cipherwatt_analytics_store_bytes", "job, instance"), "{{job}} {{instance}}")],
            links=[("store growing", "cipherwattstoregrowing")],
        ),
        series(
            "Late, duplicate and early reports", "Per second: late ones that joined a supplement; duplicates; those that "
            "came before plan and roster.", "reqps",
            [
                line(rate("cipherwatt_analytics_reports_late_total"), "late", WATCH),
                line(rate("cipherwatt_analytics_reports_duplicate_total"), "duplicates", NEUTRAL),
                line(rate("cipherwatt_analytics_reports_not_ready_total"), "before the plan", "purple"),
            ],
            size=(8, 7),
        ),
        series(
            "Commits", "Commits of the store per second; those that failed and are tried again; those that took more than "
            "two seconds.",
            "ops",
            [
                line(rate("cipherwatt_analytics_commits_total"), "commits", GOOD),
                line(rate("cipherwatt_analytics_commits_failed_total"), "failed", BAD),
                line(rate("cipherwatt_analytics_commits_slow_total"), "slow", WATCH),
            ],
            size=(8, 7),
            links=[("commit failing", "cipherwattanalyticscommitfailing"), ("commits slow", "cipherwattcommitsslow")],
        ),
        series(
            "Reports released", "Reports per second that releases cover.", "reqps",
            [line(rate("cipherwatt_analytics_released_reports_total"), "released", GOOD)], size=(8, 7),
        ),
    ]
