"""Totals: load, completeness and quantum by feeder, and who is enrolled.

Load, load factor and quantum are there only with operator.export_load: the first two are decrypted.
"""

from shapes import BAD, FEEDER, GOOD, NEUTRAL, PROCESS, WATCH, heatmap, line, percentiles, quantile, rate, series, table

LOAD = "cipherwatt_operator_feeder_load_watts"
AREA = "cipherwatt_operator_area_load_watts"
FACTOR = "cipherwatt_operator_feeder_load_factor_ratio"
COMPLETE = "cipherwatt_operator_feeder_completeness_ratio"
PERCENTILE = "cipherwatt_operator_feeder_quantile_watts"
BUDGET = "cipherwatt_operator_feeder_noise_budget_left_epsilon"
QUANTUM = "cipherwatt_operator_feeder_quantum_watts"


def by_feeder(metric):
    return f"max by (feeder) ({metric}{{{FEEDER}}})"


def row():
    return "Operator", False, [
        series(
            "Load profile, by feeder", "Average power of the newest interval released, decrypted; a gap where too few meters had a reading. Empty unless "
            "operator.export_load is true.", "watt", [line(by_feeder(LOAD), "{{feeder}}")],
            size=(12, 9), stack=True, least=None, calcs=("lastNotNull", "mean", "max"),
        ),
        series(
            "Load, by area", "Average power of the last interval of the newest window of each transformer and substation, over what is released of it, "
            "decrypted. Empty unless the plan has areas and operator.export_load is true.", "watt",
            [line(f"max by (area) ({AREA}{{{PROCESS}}})", "{{area}}")], size=(24, 7), least=None, calcs=("lastNotNull", "mean", "max"),
        ),
        series(
            "Load factor, by feeder", "Average power of the newest window over its peak, decrypted. Empty unless "
            "operator.export_load is true.", "percentunit", [line(by_feeder(FACTOR), "{{feeder}}")],
            size=(12, 9), least=None, most=1, calcs=("lastNotNull", "mean"),
        ),
        series(
            "Power of half and of 90 % of the meters, by feeder", "Power that so many of the feeder's meters kept to in the newest interval released, "
            "as the end of the bin it is in, decrypted. Empty unless plan.layout is histogram and operator.export_load is true.", "watt",
            [line(f"max by (feeder, percentile) ({PERCENTILE}{{{FEEDER}}})", "{{feeder}}: {{percentile}} %")],
            size=(24, 7), calcs=("lastNotNull", "mean", "max"),
        ),
        series(
            "Completeness, by feeder", "Readings in the feeder's newest total, as a share of those that its enrolled meters could have.",
            "percentunit", [line(by_feeder(COMPLETE), "{{feeder}}")], size=(8, 8), most=1,
            calcs=("lastNotNull", "min"), links=[("completeness low", "cipherwattcompletenesslow")],
        ),
        heatmap("Completeness, every total", "Totals per second, by the share of the possible readings they cover.",
                "percentunit", "cipherwatt_operator_completeness_ratio"),
        series(
            "Quantum, by feeder", "Power of one quantum over an interval: readings enter in whole quanta, the rest is carried to "
            "the meter's next, and totals are exact. Empty unless operator.export_load is true.", "watt",
            [line(by_feeder(QUANTUM), "{{feeder}}")], size=(8, 8),
            calcs=("lastNotNull", "max"),
        ),
        table(
            "Feeders", "The newest total of each feeder.",
            [
                ("Load", "watt", by_feeder(LOAD)),
                ("Load factor", "percentunit", by_feeder(FACTOR)),
                ("Completeness", "percentunit", by_feeder(COMPLETE)),
                ("Quantum", "watt", by_feeder(QUANTUM)),
            ],
            "feeder", size=(12, 8),
        ),
        series(
            "Releases, by result", "Sums per second: received; taken; sent again; asked for in parts, because they did not open; "
            "refused, by reason; bills opened and refused; and totals published in the clear, with operator.publish_totals.", "ops",
            [
                line(rate("cipherwatt_operator_releases_received_total"), "received", "purple"),
                line(rate("cipherwatt_operator_releases_taken_total"), "taken", GOOD),
                line(rate("cipherwatt_operator_releases_duplicate_total"), "sent again", NEUTRAL),
                line(rate("cipherwatt_operator_releases_divided_total"), "asked for in parts", "dark-orange"),
                line(rate("cipherwatt_operator_totals_published_total"), "totals published", "light-blue"),
                line(rate("cipherwatt_operator_releases_rejected_total", "reason") + " > 0", "refused: {{reason}}"),
                line(rate("cipherwatt_operator_bills_total"), "bills opened", "dark-green"),
                line(rate("cipherwatt_operator_bills_rejected_total", "reason") + " > 0", "bills refused: {{reason}}"),
            ],
            size=(12, 8),
            links=[("releases rejected", "cipherwattreleasesrejected"), ("release conflict", "cipherwattreleaseconflict")],
        ),
        series(
            "Left for noisy totals, by feeder", "What a feeder may still give away to recipients in the period of its newest window, as epsilon, and what it "
            "may give away in a whole period. Empty without publish.recipients.", "short",
            [
                line(by_feeder(BUDGET), "{{feeder}}"),
                line(f"max(cipherwatt_operator_noise_budget_epsilon{{{PROCESS}}}) > 0", "in a period", NEUTRAL),
            ],
            size=(12, 7), calcs=("lastNotNull", "min"), links=[("noise budget", "cipherwattnoisebudgetlow")],
        ),
        series(
            "Noisy totals", "Per second: totals with noise, each for one recipient, and those that a recipient does not get, by reason.", "ops",
            [
                line(rate("cipherwatt_operator_noisy_totals_total"), "noisy totals", GOOD),
                line(rate("cipherwatt_operator_noisy_totals_refused_total", "reason") + " > 0", "none: {{reason}}"),
            ],
            size=(12, 7), links=[("noise budget", "cipherwattnoisebudgetlow")],
        ),
        percentiles(
            "Commits", "Time to make a group of sums durable, and p99 of the time to verify one sum.",
            "cipherwatt_operator_commit_duration_seconds", size=(8, 7),
            more=[line(quantile(0.99, "cipherwatt_operator_verify_duration_seconds"), "verify, p99", GOOD)],
            links=[("commit failing", "cipherwattoperatorcommitfailing")],
        ),
        series(
            "Alarms", "Per second: sums with meters that are in an opened one already; sums that did not open for good, and the "
            "meters in them; meters found to spoil sums, and the searches for them, by result; commits that failed.", "ops",
            [
                line(rate("cipherwatt_operator_release_conflicts_total"), "conflicts", BAD),
                line(rate("cipherwatt_operator_releases_burnt_total"), "not opened for good", "dark-red"),
                line(rate("cipherwatt_operator_burnt_meters_total"), "meters in them", "dark-orange"),
                line(rate("cipherwatt_operator_culprits_total"), "culprits", "dark-purple"),
                line(rate("cipherwatt_operator_searches_total", "result") + " > 0", "searches: {{result}}"),
                line(rate("cipherwatt_operator_commit_failures_total"), "commit failures", WATCH),
            ],
            size=(8, 7),
            links=[("release conflict", "cipherwattreleaseconflict"), ("culprit", "cipherwattculprit")],
        ),
        series(
            "Registry", "Meters and feeders enrolled, the plan's version, waiting sums and requests, meters out of service, and feeders beyond "
            "operator.metrics_max_feeders.", "short",
            [
                line(f"max(cipherwatt_operator_enrolled_meters{{{PROCESS}}})", "meters", "orange"),
                line(f"max(cipherwatt_operator_feeders{{{PROCESS}}})", "feeders", GOOD),
                line(f"max(cipherwatt_operator_plan_version{{{PROCESS}}})", "plan version", NEUTRAL),
                line(f"max(cipherwatt_operator_queue_releases{{{PROCESS}}})", "sums in the queue", "dark-blue"),
                line(f"max(cipherwatt_operator_enrolments_pending{{{PROCESS}}})", "pending requests", WATCH),
                line(f"max(cipherwatt_operator_meters_out_of_service{{{PROCESS}}})", "meters out of service", BAD),
                line(f"max(cipherwatt_operator_feeders_unlabelled{{{PROCESS}}})", "feeders without a label", "purple"),
                line(rate("cipherwatt_operator_enrolments_refused_total", "reason") + " > 0", "refused: {{reason}}"),
            ],
            size=(8, 7), links=[("enrolments pending", "cipherwattenrolmentspending")],
        ),
    ]
