"""A real Prometheus, and what it answers."""

import json
import math
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from deployment import free_port


class Prometheus:
    """Scrapes the processes once a second by the repository's own configuration and rules."""

    def __init__(self, folder, name, source, processes, rename=None):
        """`rename` is a metric that every scrape renames, as if somebody had done so in the code."""
        self.folder, self.port = folder / name, free_port()
        self.folder.mkdir()
        config = yaml.safe_load(source.read_text())
        config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(source.parent / rules) for rules in config["rule_files"]]
        for job in config["scrape_configs"]:
            targets = [f"127.0.0.1:{process.metrics}" for process in processes if process.job == job["job_name"]]
            if not targets:
                raise SystemExit(f"{source.name}: job {job['job_name']} is none of the processes")
            job["static_configs"] = [{"targets": targets}]
            if rename:
                job["metric_relabel_configs"] = [
                    {"source_labels": ["__name__"], "regex": rename, "target_label": "__name__",
                     "replacement": f"{rename}_renamed"}
                ]
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        self.began = time.time()
        with open(self.folder / "log", "wb") as log:
            self.child = subprocess.Popen(
                ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={self.folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def ask(self, path, **parameters):
        """One request of its HTTP interface."""
        url = f"http://127.0.0.1:{self.port}/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                raise OSError("it is starting") from error
            raise SystemExit(f"Prometheus refuses {parameters}: {error.read().decode()}") from error

    def wait(self):
        """Waits until it answers."""
        for _ in range(300):
            try:
                return self.ask("api/v1/status/buildinfo")["version"]
            except OSError:
                if self.child.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"Prometheus does not answer:\n{(self.folder / 'log').read_text()[-2000:]}")

    def values(self, expr):
        """Every sample of `expr` since the start, over all series."""
        data = self.ask("api/v1/query_range", query=expr, start=self.began, end=time.time(), step=1)
        return [float(value) for series in data["result"] for _, value in series["values"]]

    def judge(self, expr):
        """"well", or what is wrong: "no data", "only NaN", "only zero"."""
        values = self.values(expr)
        if not values:
            return "no data"
        numbers = [value for value in values if math.isfinite(value)]
        if not numbers:
            return "only NaN"
        return "well" if any(numbers) else "only zero"

    def stop(self):
        """Ends it and waits for it."""
        self.child.terminate()
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
