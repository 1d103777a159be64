"""A real Prometheus scrapes the real processes under load, and every query must find something.

    python3 grafana/check/live.py BINARIES FOLDER

Everything that can be provoked is: rejections, conflicts, losses, repetitions, lateness, full disks, restarts. Then
* every panel's query and every recording rule has a sample that is neither NaN nor zero, but for unprovoked.txt;
* each of them notices when any one metric it names is renamed;
* a second Prometheus, which renames one metric as it scrapes, fails in exactly the queries that name it;
* every metric that a process exports is in a panel or rule, but for not_shown.txt; every metric an alert names exists;
* `promtool check metrics` has nothing to say about any process.
"""

import pathlib
import signal
import subprocess
import sys
import time

import expressions
from deployment import Deployment
from server import Prometheus

VICTIM = "cipherwatt_analytics_reports_folded_total"
# As Grafana does: four scrapes.
INTERVALS = {"__rate_interval": "4s", "__interval": "1s"}
PATIENCE_S = 60


def say(text):
    print(f"live: {text}", flush=True)


def provoke(deployment):
    """Load, then everything that can go wrong."""
    d = deployment
    association, regulator = d.holders
    first = [process for process in d.all if process is not regulator]
    for process in first:
        process.start()
    for process in first:
        process.wait()
    yield
    say("a roster that one of two holders has not countersigned")
    time.sleep(8)
    regulator.start()
    time.sleep(10)
    say("a sum that comes again, full disks")
    d.repeat_sum()
    # One after the other: where analytics cannot write, nothing reaches the operator.
    for process in (d.operator, d.analytics, d.gateway):
        process.disk_full(True)
        time.sleep(6)
        process.disk_full(False)
    say("a holder that asks for larger groups than there are, and one that sleeps")
    regulator.stop()
    regulator.start(holder__min_meters_floor="1000")
    time.sleep(6)
    regulator.stop()
    regulator.start(holder__min_meters_floor="15")
    time.sleep(4)
    association.frozen(5)
    say("messages that are none, customers too large for their feeder, an operator that sleeps, "
        "a gateway that has forgotten what it reported")
    d.all.append(d.giants)
    d.giants.start()
    d.send_rubbish()
    d.operator.frozen(4)
    d.gateway.stop(signal.SIGKILL)
    d.gateway.forget("outbox.redb")
    d.gateway.start()
    d.send_rubbish()
    time.sleep(8)
    say("a broker that hangs and is killed")
    d.broker.frozen(3)
    d.broker.stop(signal.SIGKILL)
    time.sleep(3)
    d.broker.start()
    time.sleep(5)
    say("analytics that has forgotten all, an operator that asks a person")
    d.operator.stop()
    d.operator.start(operator__enrolment="manual", operator__meter_prefix="false", operator__metrics_max_feeders="2")
    d.analytics.stop(signal.SIGKILL)
    d.gateway.stop(signal.SIGKILL)
    d.analytics.forget("sums.redb")
    d.gateway.forget("outbox.redb")
    d.analytics.start()
    d.gateway.start()
    time.sleep(12)


def exported(deployment):
    """Every metric of every process that runs, and what promtool says about it."""
    found, failures = set(), []
    for process in deployment.all:
        text = process.wait()
        found |= {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
        helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")}
        typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
        failures += [f"{process.name}: {name} has no HELP" for name in sorted(typed - helped)]
        lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        if lint.returncode or lint.stdout.strip() or lint.stderr.strip():
            failures.append(f"promtool check metrics, {process.name}: {lint.stdout}{lint.stderr}")
    return found, failures


def unprovoked(queries, prometheus, excused):
    """What is wrong with queries that found nothing, after some patience; and excuses that excuse nothing."""
    waiting, end = dict.fromkeys(range(len(queries)), ""), time.monotonic() + PATIENCE_S
    while waiting:
        for number in list(waiting):
            waiting[number] = prometheus.judge(queries[number].expr)
            if waiting[number] == "well":
                del waiting[number]
        if all(queries[n].where in excused for n in waiting) or time.monotonic() > end:
            break
        time.sleep(2)
    failures = []
    for number, state in waiting.items():
        query = queries[number]
        if query.where not in excused:
            failures.append(f"{query.where}: {state}: {query.expr}")
        elif state == "only NaN" or (state == "no data" and "> 0" not in query.expr):
            failures.append(f"{query.where}: {state}, though it should be zero at least: {query.expr}")
    known = {query.where for query in queries}
    failures += [f"unprovoked.txt: there is no {where}" for where in excused if where not in known]
    return failures, len(waiting)


def masked(queries, prometheus, known):
    """Queries that still find something although a metric they name has been renamed."""
    failures, tried = [], 0
    for query in queries:
        names = expressions.metrics(query.expr, known)
        if not names:
            failures.append(f"{query.where}: names no metric that exists: {query.expr}")
        for name in names:
            tried += 1
            if prometheus.values(expressions.renamed(query.expr, name)):
                failures.append(f"{query.where}: does not notice that {name} was renamed")
    return failures, tried


def self_test(queries, recorded, second):
    """A Prometheus that renames one metric as it scrapes: exactly the queries that name it find nothing."""
    lost = {VICTIM} | {rule.recorded for rule in recorded if VICTIM in rule.expr}
    failures, noticed = [], 0
    for query in [*queries, *recorded]:
        hit = any(name in query.expr for name in lost)
        state = second.judge(query.expr)
        noticed += hit
        if hit and state != "no data":
            failures.append(f"self-test: {query.where} does not notice that {VICTIM} was renamed")
        if not hit and state == "no data" and "> 0" not in query.expr:
            failures.append(f"self-test: {query.where} finds nothing, though it does not name {VICTIM}")
    if not noticed:
        failures.append(f"self-test: no query names {VICTIM}")
    return failures, noticed


def coverage(queries, rules, alerts, known):
    """Metrics that nobody shows, excuses that excuse nothing, and alerts on metrics that do not exist."""
    used = set()
    for query in [*queries, *rules]:
        used |= {expressions.family(name, known) for name in expressions.metrics(query.expr, known)}
    excused = expressions.listed("not_shown.txt")
    failures = [f"{name} is exported and neither shown nor in not_shown.txt" for name in sorted(known - used - set(excused))]
    failures += [f"not_shown.txt: {name} is not exported" for name in excused if name not in known]
    failures += [f"not_shown.txt: {name} is shown" for name in excused if name in used]
    recorded = {rule.recorded for rule in rules}
    for alert in alerts:
        named = {name for name in expressions.NAME.findall(expressions.without_strings(alert.expr))
                 if name.startswith(("cipherwatt", "process_")) }
        failures += [f"{alert.where}: there is no {name}" for name in sorted(named)
                     if name not in recorded and not expressions.family(name, known)]
    return failures


def main():
    binaries, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    folder.mkdir(parents=True)
    source = expressions.GRAFANA / "prometheus" / "prometheus.yml"
    deployment, servers = Deployment(binaries, folder), []
    began = time.monotonic()
    # SIGTERM ends this like any error, so that nothing that was started stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    try:
        script = provoke(deployment)
        next(script)
        scraped = [*deployment.all, deployment.giants]
        prometheus = Prometheus(folder, "first", source, scraped)
        servers.append(prometheus)
        second = Prometheus(folder, "second", source, scraped, rename=VICTIM)
        servers.append(second)
        version = prometheus.wait()
        second.wait()
        say(f"Prometheus {version} scrapes {len(scraped)} processes")
        for _ in script:
            pass
        panels = list(expressions.of_panels(INTERVALS))
        rules, alerts = list(expressions.of_rules("record")), list(expressions.of_rules("alert"))
        known, failures = exported(deployment)
        queries = panels + [expressions.Query(rule.where, rule.recorded) for rule in rules]
        found, excused = unprovoked(queries, prometheus, expressions.listed("unprovoked.txt"))
        failures += found
        names = known | {rule.recorded for rule in rules} | {"up", "ALERTS"}
        found, renames = masked([*panels, *rules], prometheus, names)
        failures += found
        found, noticed = self_test(panels, rules, second)
        failures += found
        failures += coverage(panels, rules, alerts, known)
        for process in deployment.all:
            if process.ended():
                failures.append(f"{process.name} has ended, see {process.name}.log")
    finally:
        deployment.stop()
        for server in servers:
            server.stop()
    if failures:
        sys.exit("\n".join(f"live: {failure}" for failure in failures) + f"\nlive: {len(failures)} failures")
    say(
        f"{len(panels)} queries of panels and {len(rules)} recording rules find data ({excused} of them zero, as listed), "
        f"{renames} renames are noticed, {noticed} by a real scrape; {len(known)} metrics, all shown or listed; "
        f"{time.monotonic() - began:.0f} s"
    )


main()
