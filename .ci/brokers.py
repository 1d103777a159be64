"""What .ci/brokers runs: brokers set up as docs/brokers.md says, killed under a fleet whose totals must all be exact.

    brokers.py BINARIES WORK [BROKER…]
"""

import base64
import datetime
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, "grafana/check")
from deployment import Process, free_port

# Sixteen homes on each of two feeders; one exports at noon, and some readings are missing.
HOMES, FEEDERS, BATCH, PATIENCE_S = 32, 2, 4, 240
START = datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc)
USERS = {"operator": "operator", "analytics": "analytics-1", "meter": "gateway-1"}


def reading(home, hour):
    """Wh, if there is one."""
    return None if (home + 5 * hour) % 97 == 0 else (hour * 71 + home * 37) % 900 - 400 * (home == 3 and hour % 24 == 12)


def samples():
    """The files that docs/brokers.md shows, by name: each is a block whose first line says `LANGUAGE NAME`."""
    text = pathlib.Path("docs/brokers.md").read_text()
    return dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


SAMPLES = samples()


class Broker:
    """A broker with TLS and an account for each process, on free ports of loopback."""

    kills = 2

    def __init__(self, work):
        self.work, self.port, self.children = work, free_port(), {}
        self.passwords = {user: secrets.token_urlsafe(12) for user in USERS.values()}

    def address(self):
        """As the processes are given it."""
        return f"mqtts://localhost:{self.port}"

    def sample(self, name, **changes):
        """Writes a file of docs/brokers.md with what is changed for this run: each change must be possible."""
        text = SAMPLES[name]
        for old, new in ({"/etc/cipherwatt/tls": str(self.work / "tls")} | changes).items():
            if old in changes and old not in text:
                raise SystemExit(f"docs/brokers.md: {name} has no {old}")
            text = text.replace(old, str(new))
        (self.work / name).write_text(text)
        return self.work / name

    def run(self, name, *command, **environment):
        """Starts a program in a group of its own."""
        with open(self.work / f"{name}.log", "ab") as log:
            self.children[name] = subprocess.Popen(
                [str(part) for part in command], cwd=self.work, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=os.environ | {key: str(value) for key, value in environment.items()},
            )

    def end(self, name, how):
        """Ends a program and all it started."""
        child = self.children.pop(name)
        try:
            os.killpg(child.pid, how)
        except ProcessLookupError:
            pass
        child.wait(30)

    def listens(self, port):
        """Waits for a listener."""
        end = time.monotonic() + 90
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                if time.monotonic() > end:
                    raise SystemExit(f"{type(self).__name__}: nobody listens on port {port}, see {self.work}")
                time.sleep(0.1)

    def kill_and_start(self, _turn):
        """It is gone for two seconds, and knows afterwards what it has written to its disk."""
        self.end("broker", signal.SIGKILL)
        time.sleep(2)
        self.start()

    def stop(self):
        """Ends all of it."""
        for name in list(self.children):
            self.end(name, signal.SIGKILL)


class Mosquitto(Broker):
    """Debian's, with its file of accounts and its file of topic rules."""

    def __init__(self, work):
        super().__init__(work)
        (work / "data").mkdir()
        passwords = work / "passwd"
        passwords.touch(0o600)
        for user, password in self.passwords.items():
            subprocess.run(["mosquitto_passwd", "-b", passwords, user, password], check=True, capture_output=True)
        rules = self.sample("mosquitto.acl")
        conf = self.sample("mosquitto.conf", **{"listener 8883": f"listener {self.port} 127.0.0.1", "/etc/mosquitto/passwd": passwords,
                                                "/etc/mosquitto/mosquitto.acl": rules, "/var/lib/mosquitto/": f"{work}/data/"})
        if os.getuid() == 0:
            conf.write_text(conf.read_text() + "user root\n")

    def start(self):
        self.run("broker", "mosquitto", "-c", self.work / "mosquitto.conf")
        self.listens(self.port)


class Nats(Broker):
    """Debian's, one server with JetStream."""

    binary = "nats-server"

    def configure(self, node, port, monitor):
        """Writes the file of one node; `node` is its name."""
        conf = self.sample("nats.conf", **{"server_name: n1": f"server_name: {node}", "127.0.0.1:4222": f"127.0.0.1:{free_port()}",
                                           "127.0.0.1:8222": f"127.0.0.1:{monitor}", "0.0.0.0:8883": f"127.0.0.1:{port}",
                                           "/var/lib/nats": self.work / node}
                           | {f"PASSWORD-OF-{user}": password for user, password in self.passwords.items()})
        return conf.rename(self.work / f"{node}.conf")

    def start(self):
        if not (self.work / "n1.conf").exists():
            self.configure("n1", self.port, free_port())
        self.run("broker", self.binary, "-c", self.work / "n1.conf")
        self.listens(self.port)


class NatsCluster(Nats):
    """Three nodes of a present NATS behind HAProxy. Each is killed in turn."""

    kills, nodes = 3, ("n1", "n2", "n3")

    def __init__(self, work):
        super().__init__(work)
        found = [path for path in (work.parent / "pip").rglob("nats-server*") if path.is_file() and os.access(path, os.X_OK)]
        elf = [path for path in found if path.read_bytes()[:4] == b"\x7fELF"]
        self.binary = elf[0]
        self.ports, self.monitors, routes = ({node: free_port() for node in self.nodes} for _ in range(3))
        urls = ", ".join(f"nats://127.0.0.1:{port}" for port in routes.values())
        for node in self.nodes:
            conf = self.configure(node, self.ports[node], self.monitors[node])
            cluster = SAMPLES["nats-cluster.conf"].replace("0.0.0.0:6222", f"127.0.0.1:{routes[node]}")
            cluster = re.sub(r"routes: \[.*?\]", f"routes: [{urls}]", cluster, flags=re.DOTALL)
            conf.write_text(conf.read_text() + cluster)
        servers = {f"{node}.example:8883": f"127.0.0.1:{self.ports[node]}" for node in self.nodes}
        self.sample("haproxy.cfg", **{"bind :8883": f"bind 127.0.0.1:{self.port}"} | servers)

    def start_node(self, node):
        self.run(node, self.binary, "-c", self.work / f"{node}.conf")

    def healthy(self, node):
        """Waits until a node has caught up with the others."""
        end = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.monitors[node]}/healthz", timeout=2) as answer:
                    if b'"ok"' in answer.read():
                        return
            except OSError:
                pass
            if time.monotonic() > end:
                raise SystemExit(f"NATS node {node} does not become healthy, see {self.work}")
            time.sleep(0.2)

    def start(self):
        for node in self.nodes:
            self.start_node(node)
        for node in self.nodes:
            self.healthy(node)
        self.front()

    def front(self):
        """What leads to the nodes."""
        self.run("haproxy", "haproxy", "-db", "-f", self.work / "haproxy.cfg")
        self.listens(self.port)

    def kill_and_start(self, turn):
        node = self.nodes[turn]
        self.end(node, signal.SIGKILL)
        time.sleep(3)
        self.start_node(node)
        # With two of three nodes gone nothing is stored.
        self.healthy(node)


class NatsAddresses(NatsCluster):
    """The same cluster without HAProxy: its three addresses are in mqtt.address."""

    def address(self):
        return ",".join(f"mqtts://localhost:{port}" for port in self.ports.values())

    def front(self):
        pass


class Rabbitmq(Broker):
    """Debian's, with its MQTT plug-in."""

    def __init__(self, work):
        super().__init__(work)
        self.epmd, self.node_port = free_port(), free_port()
        self.sample("rabbitmq.conf", **{"mqtt.listeners.ssl.default = 8883": f"mqtt.listeners.ssl.1 = 127.0.0.1:{self.port}",
                                        "/etc/rabbitmq/definitions.json": work / "definitions.json"})
        with open(work / "rabbitmq.conf", "a") as conf:
            conf.write(f"listeners.tcp.1 = 127.0.0.1:{free_port()}\n")
        self.sample("enabled_plugins")
        definitions = json.loads(SAMPLES["definitions.json"])
        for user in definitions["users"]:
            user["password_hash"] = self.hashed(self.passwords[user["name"]])
        (work / "definitions.json").write_text(json.dumps(definitions))

    @staticmethod
    def hashed(password):
        salt = secrets.token_bytes(4)
        return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()

    def start(self):
        if "epmd" not in self.children:
            self.run("epmd", "epmd", "-port", self.epmd, "-address", "127.0.0.1")
        self.run(
            "broker", "/usr/lib/rabbitmq/bin/rabbitmq-server", HOME=self.work, ERL_EPMD_PORT=self.epmd, ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_NODENAME="cipherwatt@localhost", RABBITMQ_NODE_IP_ADDRESS="127.0.0.1", RABBITMQ_DIST_PORT=self.node_port,
            RABBITMQ_CONFIG_FILE=self.work / "rabbitmq", RABBITMQ_ENABLED_PLUGINS_FILE=self.work / "enabled_plugins",
            RABBITMQ_MNESIA_BASE=self.work / "data", RABBITMQ_LOG_BASE=self.work / "log", RABBITMQ_CONF_ENV_FILE="/dev/null",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=f"-kernel inet_dist_use_interface {{127,0,0,1}}",
        )
        self.listens(self.port)


BROKERS = {"mosquitto": Mosquitto, "nats": Nats, "rabbitmq": Rabbitmq, "nats-cluster": NatsCluster, "nats-addresses": NatsAddresses}


def certificates(folder):
    """A CA, and a broker's certificate that it has signed."""
    folder.mkdir()
    def openssl(*arguments): subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *curve, "-keyout", "broker.key", "-out", "broker.pem", "-subj", "/CN=broker", "-CA", "ca.pem",
            "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
    # Brokers that drop root's rights must be able to read it.
    (folder / "broker.key").chmod(0o644)


def processes(binaries, work, broker, hours):
    """Operator, analytics and a gateway, each with an account of its own."""
    def process(binary, settings):
        user = USERS[binary]
        password = work / f"{user}.password"
        password.touch(0o600)
        password.write_text(broker.passwords[user] + "\n")
        login = {"mqtt.address": broker.address(), "mqtt.user": user, "mqtt.password_file": str(password),
                 "mqtt.ca_file": str(work / "tls/ca.pem"), "mqtt.backoff_max": "1s"}
        return Process(binaries, work, binary, user, broker.port, login | settings)
    with open(work / "homes.csv", "w") as out:
        out.write("time," + ",".join(f"home {home:02}" for home in range(HOMES)) + "\n")
        for hour in range(hours):
            row = ["" if wh is None else f"{wh / 1000:.3f}" for wh in (reading(home, hour) for home in range(HOMES))]
            out.write(f"{START + datetime.timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}," + ",".join(row) + "\n")
    return [
        process("operator", {"operator.live_listen": "", "operator.republish_every": "1s", "plan.batch": str(BATCH),
                             "operator.totals_file": str(work / "totals.jsonl")}),
        # A window waits for everybody, however long the broker is away.
        process("analytics", {"analytics.grace": "7days", "analytics.idle_limit": "60s", "analytics.release_retry": "1s"}),
        process("meter", {"meter.source": "replay", "meter.replay": str(work / "homes.csv"), "meter.speed": "14400",
                          "meter.feeders": str(FEEDERS), "meter.retry_min": "500ms", "meter.retry_max": "2s"}),
    ]


def doctor(process):
    """`doctor` finds nothing wrong with the broker, and says of a wrong password that it is one."""
    def found(**changes):
        settings = process.settings | changes
        flags = [flag for key, value in settings.items() for flag in ("--set", f"{key}={value}")]
        out = subprocess.run([process.binary, "doctor", "--output", "json", *flags], cwd=process.folder, capture_output=True, text=True,
                             timeout=120)
        return [check for check in json.loads(out.stdout)["checks"] if check["check"] in ("account", "broker", "tls")]
    wrong = process.folder / "wrong.password"
    wrong.touch(0o600)
    wrong.write_text("wrong\n")
    checks = found()
    assert {check["check"] for check in checks} == {"account", "broker", "tls"}, checks
    assert all(check["status"] == "ok" for check in checks), checks
    refused = [check for check in found(**{"mqtt.password_file": str(wrong)}) if check["status"] == "fail"]
    assert refused and all("refused the login" in check["detail"] for check in refused), refused


def run(name, binaries, work):
    """The demo through one broker. How long it took, and how many totals there were."""
    began = time.monotonic()
    work.mkdir()
    certificates(work / "tls")
    broker = BROKERS[name](work)
    # A window each second.
    hours = BATCH * 12 * (broker.kills + 1)
    true = {(f"feeder-{feeder + 1}", first // BATCH): [sum(reading(home, hour) or 0 for home in range(feeder, HOMES, FEEDERS))
            for hour in range(first, first + BATCH)] for feeder in range(FEEDERS) for first in range(0, hours, BATCH)}
    all_processes = processes(binaries, work, broker, hours)
    def totals():
        file = work / "totals.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")] if file.exists() else []
    def reach(count):
        end = time.monotonic() + PATIENCE_S
        while len(totals()) < count:
            time.sleep(0.2)
            assert time.monotonic() < end, f"{name}: {len(totals())} of {len(true)} totals, waited for {count} during {PATIENCE_S} s"
            assert not any(each.ended() for each in all_processes[:2]), f"{name}: a process has ended"
    try:
        broker.start()
        for each in all_processes:
            doctor(each)
        for each in all_processes[:2]:
            each.start()
            each.wait()
        all_processes[2].start()
        for turn in range(broker.kills):
            reach(FEEDERS * (4 + 12 * turn))
            assert len(totals()) < len(true), f"{name}: it was over before kill {turn + 1}"
            broker.kill_and_start(turn)
        reach(len(true))
        # Nothing more comes.
        time.sleep(2)
        found = totals()
    except BaseException:
        for log in sorted(work.glob("*.log")):
            print(f"{log.name}: {log.read_text()[-1500:]}", file=sys.stderr)
        raise
    finally:
        for each in reversed(all_processes):
            each.stop()
        broker.stop()
    for total in found:
        window = total["feeder"], (total["window_start"] - int(START.timestamp())) // 3600 // BATCH
        assert total["meters"] == HOMES // FEEDERS and total["quantum_wh"] == 1, total
        assert total["energy_wh"] == true.pop(window), f"{name}: {window}: {total['energy_wh']}"
    assert not true, true
    print(f"{name}: {len(found)} totals, each once and exact, over {broker.kills} kills, in {time.monotonic() - began:.0f} s", flush=True)


def main():
    binaries, work, *names = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    for name in names or BROKERS:
        if name not in BROKERS:
            raise SystemExit(f"no broker {name}: there are {', '.join(BROKERS)}")
    for name in names or BROKERS:
        run(name, pathlib.Path(binaries), pathlib.Path(work) / name)
        shutil.rmtree(pathlib.Path(work) / name)
    print(f"{len(names or BROKERS)} passed, 0 failed")


main()
