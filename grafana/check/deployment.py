"""The real processes on loopback, on free ports, in a folder of their own."""

import pathlib
import resource
import signal
import socket
import subprocess
import time
import urllib.request


def free_port():
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# An area of one feeder, and a recipient of noisy totals whose budget is not spent.
TABLES = """
[holders]
agreements = ["first.agreement"]
[plan]
areas = [{ transformer = "t-1", feeders = ["feeder-1"] }]
[publish]
budget_epsilon = 100000.0
recipients = [{ name = "press", unit = "interval", mechanism = "laplace", epsilon = 0.5 }]
"""


class Process:
    """One process, started as often as need be with the same ports."""

    def __init__(self, binaries, folder, binary, name, mqtt, settings):
        self.binary, self.name, self.folder = pathlib.Path(binaries) / binary, name, folder
        self.job, self.metrics = f"cipherwatt-{binary}", free_port()
        self.settings = {
            "deployment.state_dir": str(folder / "state"),
            "mqtt.address": f"127.0.0.1:{mqtt}",
            "mqtt.keep_alive": "2s",
            f"{binary}.metrics_listen": f"127.0.0.1:{self.metrics}",
        } | settings
        self.child = None

    def start(self, **settings):
        """Starts it; `settings` are changed for good."""
        self.settings |= {key.replace("__", "."): value for key, value in settings.items()}
        flags = [flag for key, value in self.settings.items() for flag in ("--set", f"{key}={value}")]
        # Lists of tables, which no flag can say.
        tables = self.folder / f"{self.name}.toml"
        flags += ["--config", str(tables)] if tables.exists() else []
        # A write beyond RLIMIT_FSIZE fails, instead of ending the process, once SIGXFSZ is ignored.
        ignore = lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        # The log goes through a process of its own, because the limit would hold for it too.
        with open(self.folder / f"{self.name}.log", "ab") as log:
            copy = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
        with copy.stdin as pipe:
            self.child = subprocess.Popen(
                [self.binary, *flags], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, preexec_fn=ignore
            )

    def stop(self, how=signal.SIGTERM):
        """Ends it and waits for it."""
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(how)
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def ended(self):
        """Whether it ended by itself."""
        return self.child is not None and self.child.poll() is not None

    def frozen(self, seconds):
        """Stops its threads for a while, as a machine that swaps would."""
        self.child.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.child.send_signal(signal.SIGCONT)

    def disk_full(self, full):
        """Whether its files may grow; whoever runs this may lower and raise the soft limit again."""
        hard = resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE, (1 if full else hard, hard))

    def forget(self, file):
        """Removes a file of its state."""
        for found in (self.folder / "state").rglob(file):
            if self.name in found.parts or self.job.endswith(found.parts[-2]):
                found.unlink()

    def text(self):
        """Its metrics, as it exports them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def wait(self, seconds=60):
        """Waits until its metrics can be had."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.text()
            except OSError:
                if self.ended() or time.monotonic() > end:
                    tail = (self.folder / f"{self.name}.log").read_text()[-2000:]
                    raise SystemExit(f"{self.name} does not serve metrics; the end of its log:\n{tail}")
                time.sleep(0.1)


class Deployment:
    """Broker, operator, analytics, four gateways, and two holders of mask keys without both of whom no sum opens."""

    def __init__(self, binaries, folder):
        self.folder, self.mqtt = folder, free_port()

        self.networks = []

        def process(binary, name, settings=(), **network):
            mqtt = self.emulate(binaries, network) if network else self.mqtt
            return Process(binaries, folder, binary, name, mqtt, dict(settings))

        start = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 20 * 86_400))
        fleet = {"meter.start": start, "meter.speed": "3600", "meter.retry_min": "500ms", "meter.retry_max": "2s"}
        self.broker = process("broker", "broker", {"broker.listen": f"127.0.0.1:{self.mqtt}"})
        self.operator = process(
            "operator", "operator",
            {"holders.ask_again": "500ms", "operator.export_load": "true", "operator.publish_totals": "true", "operator.republish_every": "1s",
             "operator.reference_headroom": "64",
             # Percentiles, in groups as small as the others.
             "plan.layout": "histogram", "plan.detail_min_meters": "15"},
        )
        (folder / "operator.toml").write_text(TABLES)
        self.analytics = process(
            "analytics", "analytics-1",
            {"analytics.grace": "1h", "analytics.idle_limit": "4s", "analytics.release_retry": "1s",
             "analytics.retention": "1day"},
        )
        # Loses, repeats and delays reports.
        self.gateway = process(
            "meter", "gateway-1",
            fleet | {"meter.gateway": "gateway-1", "meter.meters": "240", "meter.feeders": "3"},
            loss="0.05", duplicate="0.1", jitter="100ms",
        )
        # Late at the large feeders, and alone at small ones; a small outbox.
        self.late = process(
            "meter", "gateway-2",
            fleet | {"meter.gateway": "gateway-2", "meter.meters": "16", "meter.feeders": "8", "meter.outbox_max_reports": "32",
                     "meter.seed": "2"},
            latency="7s",
        )
        # Customers of a file, with gaps and exports.
        self.replay = process(
            "meter", "gateway-3",
            fleet | {"meter.gateway": "gateway-3", "meter.feeders": "1", "meter.source": "replay",
                     "meter.replay": str(folder / "customers.csv"), "meter.start": ""},
        )
        # Customers too large for the feeder they name, who are never enrolled.
        self.giants = process(
            "meter", "gateway-4",
            fleet | {"meter.gateway": "gateway-4", "meter.feeders": "1", "meter.source": "replay",
                     "meter.replay": str(folder / "giants.csv"), "meter.start": ""},
        )
        self.holders = [process("holder", name, {"holder.id": name}) for name in ("association", "regulator")]
        agree(binaries, self.holders)
        write_customers(folder / "customers.csv", start, "customer", 1)
        write_customers(folder / "giants.csv", start, "giant", 10_000)
        self.all = [self.broker, self.operator, *self.holders, self.analytics, self.gateway, self.late, self.replay]

    def emulate(self, binaries, network):
        """Starts a network that delays, loses and doubles reports on their way to the broker; its port."""
        port = free_port()
        flags = [flag for key, value in network.items() for flag in (f"--{key}", value)]
        self.networks.append(subprocess.Popen(
            [pathlib.Path(binaries) / "bench", "network", "--listen", f"127.0.0.1:{port}", "--broker", f"127.0.0.1:{self.mqtt}", *flags],
            stdin=subprocess.DEVNULL,
        ))
        return port

    def send_rubbish(self):
        """Messages that are none, on topics of a report, a receipt, a question to holders and an answer of one."""
        for topic in (
            "shard/0/feeder/feeder-1/meter/gateway-1-meter-000001/report", "gateway/gateway-1/receipt", "holders/ask",
            "holder/regulator/answer",
        ):
            subprocess.run(
                ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.mqtt), "-q", "1",
                 "-t", f"cipherwatt/v2/{topic}", "-m", "rubbish"],
                check=True, timeout=10,
            )

    def repeat_sum(self):
        """The next sum of a feeder once more, after it was taken: whoever sees one can send it."""
        at = ["-h", "127.0.0.1", "-p", str(self.mqtt), "-q", "1", "-t", "cipherwatt/v2/shard/0/feeder/feeder-1/sum"]
        seen = subprocess.run(["mosquitto_sub", *at, "-C", "1", "-N"], check=True, capture_output=True, timeout=60)
        time.sleep(2)
        subprocess.run(["mosquitto_pub", *at, "-s"], input=seen.stdout, check=True, timeout=10)

    def stop(self):
        """Ends everything, the broker last."""
        for process in reversed(self.all):
            process.stop()
        for network in self.networks:
            network.terminate()
            network.wait(15)


def agree(binaries, holders):
    """Both holders make keys, and an agreement that takes both for every sum."""
    names = [holder.name for holder in holders]
    every = lambda extension: [f"{name}.{extension}" for name in names]

    def step(holder, *arguments):
        settings = [f"holder.id={holder.name}", f"deployment.state_dir={holder.folder / 'state'}"]
        flags = [flag for setting in settings for flag in ("--set", setting)]
        subprocess.run([holder.binary, *arguments, *flags], cwd=holder.folder, check=True, capture_output=True, timeout=60)

    first = "first.proposal"
    for holder in holders:
        step(holder, "init")
    step(holders[0], "propose", "--threshold", "2", "--consents", "2", *every("card"), "--output", first)
    for holder in holders:
        step(holder, "deal", first)
    for holder in holders:
        step(holder, "accept", first, *every("deal"))
    step(holders[0], "assemble", first, *every("deal"), *every("acceptance"), "--output", "first.agreement")


def write_customers(file, start, name, factor):
    """Wide CSV, a row an hour for ten days: every seventh reading is missing, one customer exports."""
    begin = time.mktime(time.strptime(start, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    with open(file, "w") as out:
        out.write("time," + ",".join(f"{name} {n}" for n in range(20)) + "\n")
        for hour in range(240):
            row = [f"{factor * ((hour * 7 + n * 3) % 11 / 4 - (n == 3)):.2f}" for n in range(20)]
            row = ["" if (hour + n) % 7 == 0 else value for n, value in enumerate(row)]
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin + 3_600 * hour))
            out.write(f"{when},{','.join(row)}\n")
