"""Analytics processes that share the feeders, and the database that they share them over."""

from shapes import BAD, GOOD, NEUTRAL, WATCH, line, mean, quantile, rate, series, total

STATEMENT = "cipherwatt_analytics_database_commit_duration_seconds"


def row():
    return "Pool and database", False, [
        series(
            "Shards held", "Shards that each process of the pool holds; 0 without a pool.", "none",
            [line(total("cipherwatt_analytics_shards_held", "job, instance"), "{{job}} {{instance}}")], size=(6, 7),
            links=[("shards unheld", "cipherwattshardsunheld")],
        ),
        series(
            "Lease age", "Time since each process last renewed its leases; at analytics.lease_ttl others take its shards over.", "s",
            [line(total("cipherwatt_analytics_lease_age_seconds", "job, instance"), "{{job}} {{instance}}")], size=(6, 7),
            links=[("leases failing", "cipherwattleasesfailing")],
        ),
        series(
            "Takeovers", "Per second: shards taken over, those at the start included; shards found to be another's at a commit; "
            "renewals of leases that failed.", "ops",
            [
                line(rate("cipherwatt_analytics_shards_taken_total"), "taken", NEUTRAL),
                line(rate("cipherwatt_analytics_shards_fenced_total"), "fenced", WATCH),
                line(rate("cipherwatt_analytics_lease_turns_failed_total"), "renewals failed", BAD),
            ],
            size=(6, 7), links=[("fenced", "cipherwattfenced"), ("leases failing", "cipherwattleasesfailing")],
        ),
        series(
            "Database: commits", "The statement of a commit: mean, and 99th percentile. Gaps are times without one, or without a database.", "s",
            [
                line(mean(STATEMENT), "mean", GOOD),
                line(quantile(0.99, STATEMENT) + " > 0", "p99", "dark-blue"),
            ],
            size=(3, 7), links=[("database slow", "cipherwattdatabaseslow")],
        ),
        series(
            "Database: connections", "Connections made per second: more than a few an hour are connections that were lost.", "ops",
            [line(rate("cipherwatt_analytics_database_connections_total"), "made", WATCH)], size=(3, 7),
        ),
    ]
