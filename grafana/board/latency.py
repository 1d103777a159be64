"""How long each step takes, from a reading to its total."""

from shapes import WATCH, heatmap, line, percentiles, quantile, series

END_TO_END = "cipherwatt_operator_end_to_end_duration_seconds"

# In the order of the path: name, histogram, what is timed, colour.
STAGES = [
    ("encode", "cipherwatt_meter_encode_duration_seconds", "Encoding the readings of one report as a plaintext, and masking it", "light-yellow"),
    ("encrypt", "cipherwatt_meter_encrypt_duration_seconds", "Encrypting the plaintext of one report, and packing the ciphertext", "yellow"),
    ("sign", "cipherwatt_meter_sign_duration_seconds", "Hashing, signing and enveloping one report", "orange"),
    ("publish to receipt", "cipherwatt_meter_receipt_duration_seconds",
     "From the first publish of a report to the receipt that settles it", "purple"),
    ("verify", "cipherwatt_analytics_verify_duration_seconds", "Decoding and verifying one report", "light-green"),
    ("fold", "cipherwatt_analytics_fold_duration_seconds", "Adding one report to its sum", "green"),
    ("commit", "cipherwatt_analytics_commit_duration_seconds", "One commit of the store of analytics", "dark-green"),
    ("release", "cipherwatt_analytics_release_duration_seconds",
     "Making one release: packing and signing a sum", "light-blue"),
    ("decrypt", "cipherwatt_operator_decrypt_duration_seconds", "Decrypting, unmasking and decoding one sum", "blue"),
    ("end to end", END_TO_END, "From sealing the newest report of a sum to its total", "red"),
]


def row():
    return "Latency", False, [
        percentiles(
            "End to end", "Time from sealing to the total: of the newest report of each sum, and the p99 of the oldest, "
            "which includes the wait for the window's last meters.", END_TO_END,
            more=[
                line(quantile(0.99, "cipherwatt_operator_oldest_report_seconds"), "oldest report, p99", WATCH),
                line(quantile(0.99, "cipherwatt_analytics_report_age_seconds"), "sealed to folded, p99", "green"),
            ],
            links=[("end to end slow", "cipherwattendtoendslow")],
        ),
        heatmap("End to end, every sum", "Sums per second, by the time from sealing their newest report to their total.",
                "s", END_TO_END),
        percentiles(
            "Publish to receipt", "From the first publish of a report to its receipt, as gateways see it.",
            "cipherwatt_meter_receipt_duration_seconds",
            more=[line(quantile(0.99, "cipherwatt_mqtt_publish_duration_seconds"), "publish to PUBACK, p99", "purple")],
        ),
        series(
            "Median, by stage", "Half of the samples took no longer than this. Logarithmic axis.", "s",
            [line(quantile(0.5, metric), name, colour) for name, metric, _, colour in STAGES],
            size=(12, 10), log=True, calcs=("mean", "max"),
        ),
        series(
            "99th percentile, by stage", "All but one in a hundred samples took no longer than this. Logarithmic axis.", "s",
            [line(quantile(0.99, metric), name, colour) for name, metric, _, colour in STAGES],
            size=(12, 10), log=True, calcs=("mean", "max"),
        ),
    ]


def stages():
    panels = []
    for name, metric, what, _ in STAGES:
        title = name.capitalize()
        panels.append(percentiles(f"{title}: percentiles", f"{what}.", metric, size=(6, 7)))
        panels.append(heatmap(f"{title}: heatmap", f"{what}: how many per second took how long.", "s", metric, size=(6, 7)))
    whole = "cipherwatt_meter_seal_duration_seconds"
    panels.append(percentiles("Seal: percentiles", "Encoding, masking, encrypting and signing one report.", whole, size=(6, 7)))
    panels.append(heatmap("Seal: heatmap", "Sealing one report: how many per second took how long.", "s", whole, size=(6, 7)))
    return "Latency, stage by stage", True, panels
