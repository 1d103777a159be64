"""Runs what is installed in a clean root as systemd would, up to the totals: .ci/deploy says how.

    deploy.py ROOT

Each unit's command line, environment, credentials, folders and a user of its own are taken from the unit that its package has, and
from the drop-in that docs/operations.md shows.
"""

import collections
import datetime
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
LIMIT_S = 120
METERS, FEEDERS, DAYS, ROWS = 64, 4, 3, 96


class Unit:
    """A unit of systemd, as far as a clean root can have it."""

    def __init__(self, root, name, user):
        self.root, self.name, self.user = root, name, user
        template, _, instance = name.partition("@")
        file = root / f"usr/lib/systemd/system/{template}{'@' if instance else ''}.service"
        credentials = f"/run/credentials/{name}.service"
        lines = file.read_text().splitlines()
        for drop_in in sorted((root / f"etc/systemd/system/{name}.service.d").glob("*.conf")):
            lines += drop_in.read_text().splitlines()
        self.values = collections.defaultdict(list)
        for line in lines:
            key, equals, value = line.partition("=")
            if equals and not value:
                self.values[key] = []
            elif equals:
                for letter, text in (("%S", "/var/lib"), ("%d", credentials), ("%i", instance)):
                    value = value.replace(letter, text)
                self.values[key].append(value)
        (state,) = self.values["StateDirectory"]
        self.folder(f"var/lib/{state}")
        self.load(self.folder(credentials.lstrip("/")))
        self.process = None

    def folder(self, path):
        """Makes a folder that is the user's alone."""
        path = self.root / path
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        os.chown(path, self.user, self.user)
        return path

    def load(self, folder):
        """Credentials. Encrypted ones are plain in this test: only a machine with a systemd can decrypt them."""
        sources = [value.split(":") for value in self.values["LoadCredential"]]
        sources += [(name, f"/etc/credstore.encrypted/{name}") for name in self.values["LoadCredentialEncrypted"]]
        for name, source in sources:
            source = self.root / source.lstrip("/")
            if source.exists():
                shutil.copyfile(source, folder / name)
                (folder / name).chmod(0o400)
                os.chown(folder / name, self.user, self.user)

    def command(self, *arguments):
        """What runs the unit's command line, or a command of its binary."""
        (line,) = self.values["ExecStart"]
        binary, *flags = shlex.split(line)
        (directory,) = self.values["WorkingDirectory"]
        return [
            "chroot", f"--userspec={self.user}:{self.user}", "--groups=", self.root,
            "env", "--ignore-environment", f"--chdir={directory}", "PATH=/usr/local/bin:/usr/bin", *self.values["Environment"],
            binary, *arguments, *flags,
        ]

    def start(self):
        """Starts it."""
        with open(self.root / f"tmp/{self.name}.log", "w") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)

    def log(self):
        """The end of what it says."""
        return f"== {self.name}\n" + (self.root / f"tmp/{self.name}.log").read_text()[-3000:]


def drop_in(root, name, binary, own, key):
    """The drop-in that docs/operations.md shows for the operator, for another process."""
    text = (REPOSITORY / "docs/operations.md").read_text()
    (shown,) = re.findall(r"^```ini\n(\[Service\]\nExecStart=\n.*?)^```$", text, re.M | re.S)
    folder = root / f"etc/systemd/system/{name}.service.d"
    folder.mkdir(parents=True)
    section = "BROKER" if binary == "broker" else "MQTT"
    for old, new in (("operator --config", f"{binary} --config"), ("operator.toml", f"{own}.toml"), ("operator.key", f"{own}.key"),
                     ("__MQTT__", f"__{section}__")):
        assert old in shown, (old, shown)
        shown = shown.replace(old, new)
    (folder / "own.conf").write_text(shown)


def readings(file):
    """Writes the file that production settings read: days of quarter hours; returns the sums in Wh, by feeder and day."""
    first = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - datetime.timedelta(days=DAYS)
    reading = lambda home, row: (row * 71 + home * 37) % 900 - 400 * (home == 3 and row % ROWS == 48)
    with open(file, "w") as out:
        out.write("time," + ",".join(f"gateway-1-{home:02}" for home in range(METERS)) + "\n")
        for row in range(DAYS * ROWS):
            when = first + row * datetime.timedelta(minutes=15)
            out.write(f"{when:%Y-%m-%dT%H:%M:%SZ}," + ",".join(f"{reading(home, row) / 1000:.3f}" for home in range(METERS)) + "\n")
    return {
        (f"feeder-{feeder + 1}", int((first + datetime.timedelta(days=day)).timestamp())):
            [sum(reading(home, day * ROWS + row) for home in range(feeder, METERS, FEEDERS)) for row in range(ROWS)]
        for feeder in range(FEEDERS) for day in range(DAYS)
    }


def totals(file):
    """What a file of totals has, as `readings` says it."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {(line["feeder"], line["window_start"]): line["energy_wh"] for line in lines}


def until(what, found, units):
    """Waits for it, while all of them run."""
    end = time.monotonic() + LIMIT_S
    while not (value := found()):
        ended = [unit.name for unit in units if unit.process.poll() is not None]
        if ended or time.monotonic() > end:
            sys.exit(f"{what}: not within {LIMIT_S} s, or ended: {ended}\n" + "\n".join(unit.log() for unit in units))
        time.sleep(0.2)
    return value


def check_compose(root):
    """What deploy/ names is there: files, settings, ports, scraped processes."""
    deploy = REPOSITORY / "deploy"
    services = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    monitoring = yaml.safe_load((REPOSITORY / "grafana/compose.yaml").read_text())["services"]
    containerfile = (deploy / "Containerfile").read_text()
    scraped = {
        target for job in yaml.safe_load((deploy / "prometheus.yml").read_text())["scrape_configs"]
        for config in job["static_configs"] for target in config["targets"]
    }
    served = set()
    for name, service in services.items():
        for source in (volume.split(":")[0] for volume in service["volumes"]):
            # north/ is /etc/cipherwatt, as `operator init` made it.
            made = root / "etc/cipherwatt" / source.removeprefix("./north/")
            file = made if source.startswith("./north/") else deploy / source
            assert not source.startswith(".") or file.exists(), f"{name}: there is no {source}"
        if name in monitoring:
            assert service["image"].endswith(monitoring[name]["image"]), f"{name}: two versions, in deploy/ and in grafana/"
        if "build" in service:
            command = ["chroot", root, "env", "--ignore-environment", "PATH=/usr/bin", *(f"{key}={value}" for key, value in service["environment"].items())]
            done = subprocess.run([*command, *service["command"], "--print-config"], text=True, capture_output=True)
            assert done.returncode == 0, f"{name}: {done.stderr}"
            for key, value in service["environment"].items():
                used = [line for line in done.stdout.splitlines() if key in line]
                assert used, f"{name}: {key} is not used"
                if key.endswith("METRICS_LISTEN"):
                    port = value.split(":")[1]
                    assert re.search(rf"for port in [\d ]*\b{port}\b", containerfile), f"{name}: no health check asks port {port}"
                    served.add(f"{name}:{port}")
    assert served == scraped, (served, scraped)
    print(f"compose: {len(services)} services, every file is there, every setting is known, every process is scraped")


def main():
    root = pathlib.Path(sys.argv[1])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)

    def run(*command):
        done = subprocess.run(["chroot", root, *command], text=True, capture_output=True)
        if done.returncode:
            sys.exit(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    run("operator", "init", "--id", "north", "--dir", "/etc/cipherwatt", "--analytics", "analytics-1", "--analytics", "analytics-2")
    # Three days in five seconds.
    with open(root / "etc/cipherwatt/gateway.gateway-1.toml", "a") as settings:
        settings.write("speed = 86400.0\n")
    # As docs/operations.md has it, but not encrypted.
    (root / "etc/credstore.encrypted").mkdir(mode=0o700)
    for key in ("signing.key", "epoch-1.key", "mask-1.key"):
        shutil.move(root / f"etc/cipherwatt/state/operator/{key}", root / "etc/credstore.encrypted")
    names = {
        "cipherwatt-broker": ("broker", "broker"), "cipherwatt-operator": ("operator", "operator"),
        "cipherwatt-analytics": ("analytics", "analytics.analytics-1"), "cipherwatt-meter@gateway-1": ("meter", "gateway.gateway-1"),
    }
    units = []
    for user, (name, (binary, own)) in enumerate(names.items(), 61184):
        drop_in(root, name, binary, own, own)
        units.append(Unit(root, name, user))
    true = readings(root / "var/lib/cipherwatt/readings.csv")
    try:
        for unit in units:
            unit.start()
        pending = ("operator", "pending", "--config", "/etc/cipherwatt/cipherwatt.toml", "--set", "deployment.state_dir=/var/lib/cipherwatt/operator")
        until("the operator's state", (root / "var/lib/cipherwatt/operator/operator").exists, units)
        until("both ask to join", lambda: run(*pending).count("--digest") == 2, units)
        for command in re.findall(r"operator approve .*--digest \w+", run(*pending)):
            run(*shlex.split(command), *pending[2:])
        released = lambda: totals(root / "var/lib/cipherwatt/operator/totals.jsonl")
        until("the totals", lambda: len(released()) == len(true), units)
        assert released() == true, (released(), true)
        for unit in units:
            doctor = subprocess.run(unit.command("doctor"), text=True, capture_output=True)
            assert doctor.returncode == 0, f"{unit.name}: {doctor.stdout}{doctor.stderr}"
        for unit in reversed(units):
            unit.process.send_signal(signal.SIGTERM)
            assert unit.process.wait(timeout=60) == 0, unit.log()
    finally:
        for unit in units:
            if unit.process:
                unit.process.kill()
    print(f"installed: {len(units)} units, each as a user of its own, gave the {len(true)} exact totals of {DAYS} days of {METERS} homes")

    run("broker", "certs", "--dev", "/etc/cipherwatt/database", "--host", "postgres")
    for name in ("database.password", "readings.csv"):
        (root / "etc/cipherwatt" / name).touch()
    check_compose(root)


if __name__ == "__main__":
    main()
