"""The names of metrics, which are constants of the crates that count them: what a panel or a rule asks for must be one."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent.parent
CONSTANT = re.compile(r'const [A-Z_]+: &str =\s*"(cipherwatt_[a-z_]+)";')
USED = re.compile(r"\bcipherwatt_[a-z_]+")


def counted():
    """Every name that a crate has a constant for."""
    sources = [path for folder in ("*", "lib/*") for path in ROOT.glob(f"{folder}/src/**/*.rs")]
    return {name for path in sources for name in CONSTANT.findall(path.read_text())}


def unknown(dashboard):
    """Names that `dashboard` or a rule asks for and nobody counts; a histogram goes by its name without a suffix."""
    rules = [path.read_text() for path in sorted((ROOT / "grafana/prometheus/rules").glob("*.yml"))]
    known = counted()
    known |= {name + suffix for name in known for suffix in ("_bucket", "_count", "_sum")}
    return sorted(set(USED.findall("\n".join([dashboard, *rules]))) - known)
