"""Holders of mask keys: what they are asked, what they consent to, and what waits for them.

All of it stays empty or 0 where a deployment has no holders.
"""

from shapes import BAD, GOOD, PROCESS, WATCH, line, percentiles, quantile, rate, series


def row():
    return "Holders", False, [
        series(
            "Questions to holders, by step", "Questions of the operator per second, as it counts them, and as the holders do, each of which gets all of "
            "them. A step that is asked more often than the one after it is asked again and again.", "ops",
            [
                line(rate("cipherwatt_operator_holder_questions_total", "step"), "asked: {{step}}"),
                line(rate("cipherwatt_holder_questions_total", "step"), "heard: {{step}}"),
            ],
            links=[("sums await holders", "cipherwattsumsawaitholders")],
        ),
        series(
            "Consents and refusals", "Per second: sums that holders consented to; questions that they refused, by step and reason; refusals that the "
            "operator heard, by reason.", "ops",
            [
                line(rate("cipherwatt_holder_consents_total"), "consents", GOOD),
                line(rate("cipherwatt_holder_refusals_total", "step, reason") + " > 0", "refused: {{step}}, {{reason}}"),
                line(rate("cipherwatt_operator_holder_refusals_total", "reason") + " > 0", "heard: {{reason}}"),
            ],
            links=[("holder refuses", "cipherwattholderrefuses")],
        ),
        series(
            "Waiting for holders", "Sums that wait for holders' answers now, those that are being answered included, and holders that did not answer.", "short",
            [
                line(f"max(cipherwatt_operator_sums_awaiting_holders{{{PROCESS}}})", "sums", WATCH),
                line(f"max(cipherwatt_operator_holders_away{{{PROCESS}}})", "holders away", BAD),
            ],
            links=[("holder away", "cipherwattholderaway"), ("sums await holders", "cipherwattsumsawaitholders")],
        ),
        percentiles(
            "Answers of holders", "Time that a holder takes from a question to its answer, whichever step, and p99 of the time from the operator's first "
            "question about a sum to all its masks.",
            "cipherwatt_holder_answer_duration_seconds", size=(6, 7),
            more=[line(quantile(0.99, "cipherwatt_operator_holders_duration_seconds"), "all steps, p99", GOOD)],
        ),
        series(
            "Holders that contradict others", "Per second: sums whose masks two holders gave differently, and holders that were found to be alone with "
            "theirs. Both must stay 0.", "ops",
            [
                line(rate("cipherwatt_operator_holder_disputes_total"), "sums", "dark-orange"),
                line(rate("cipherwatt_operator_holders_suspected_total"), "holders", BAD),
            ],
            size=(6, 7), links=[("holders contradict", "cipherwattholderscontradict")],
        ),
        series(
            "Countersigned roster", "Pages of the roster that wait for countersignatures; countersignatures a second; meters that each holder knows, those that "
            "left included.", "short",
            [
                line(f"max(cipherwatt_operator_roster_pages_uncountersigned{{{PROCESS}}})", "pages that wait", WATCH),
                line(rate("cipherwatt_holder_countersigned_pages_total"), "countersignatures", GOOD),
                line(f"max by (job, instance) (cipherwatt_holder_meters{{{PROCESS}}})", "{{job}} {{instance}}"),
            ],
            size=(6, 7), links=[("roster not countersigned", "cipherwattrosternotcountersigned")],
        ),
        series(
            "Left for noisy totals, by holder", "What the feeder with the least may still give away by totals with noise, in its newest period, as a "
            "share of what the holder lets pass. At 0 it consents to no more of that feeder.", "percentunit",
            [
                line(f"min by (job, instance) (cipherwatt_holder_noise_budget_left_ratio{{{PROCESS}}})", "{{job}} {{instance}}"),
            ],
            size=(6, 7), links=[("holders' noise budget", "cipherwattholdernoisebudgetlow")],
        ),
        series(
            "Messages not taken", "Per second, by reason: messages of the operator that a holder did not take, pages of the roster among them, and messages "
            "of holders that the operator did not take.", "ops",
            [
                line(rate("cipherwatt_holder_rejected_total", "reason") + " > 0", "by holders: {{reason}}"),
                line(rate("cipherwatt_operator_holder_messages_rejected_total", "reason") + " > 0", "by the operator: {{reason}}"),
            ],
            size=(6, 7),
        ),
        series(
            "Audits of sums", "Audits by what they came to, each second, and those that are under way or wait. A wrong one says that a sum is not of the "
            "reports that its meters signed.", "short",
            [
                line(rate("cipherwatt_holder_audits_total", "result") + " > 0", "{{result}}"),
                line(f"max by (job, instance) (cipherwatt_holder_audits_under_way{{{PROCESS}}})", "under way: {{instance}}", WATCH),
            ],
            links=[("audit wrong", "cipherwattauditwrong"), ("audit incomplete", "cipherwattauditincomplete")],
        ),
        series(
            "Reports for audits", "Per second: reports that gateways showed to holders, and that holders took; demands that gateways refused, by "
            "reason.", "ops",
            [
                line(rate("cipherwatt_meter_audited_reports_total"), "shown", GOOD),
                line(rate("cipherwatt_holder_audited_reports_total"), "taken"),
                line(rate("cipherwatt_meter_audit_refusals_total", "reason") + " > 0", "refused: {{reason}}"),
            ],
        ),
        series(
            "Kept for audits", "Reports of released sums that gateways keep for holders, and their bytes in the journal.", "short",
            [
                line(f"sum(cipherwatt_meter_released_reports{{{PROCESS}}})", "reports"),
                line(f"sum(cipherwatt_meter_released_bytes{{{PROCESS}}})", "bytes", WATCH),
            ],
        ),
    ]
