#!/usr/bin/env python3
"""Retention policies on generated traces whose options are drawn at random, and on halves of recorded ones.

    dotnet build -c Release src/KvMesh.Cli
    python3 benchmarks/retention/held_out.py [--traces 24] [--seed 20261124] [--recorded trace.jsonl]

Prints a row for each trace, as Markdown: points of hit ratio that the policy hits more than LRU, the least and the most of all capacities and their
mean, and the least against S3-FIFO. Equal arguments give equal tables.
"""

import argparse
import json
import pathlib
import random
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
KVMESH = ["dotnet", str(ROOT / "artifacts/bin/KvMesh.Cli/release/kvmesh.dll")]


def draw(rng):
    options = {
        "seed": rng.randint(1000, 99999),
        "requests": rng.choice([6000, 12000, 20000]),
        "sessions-per-second": round(rng.uniform(0.3, 6), 2),
        "tenants": rng.choice([1, 1, 3, 12]),
        "system-prompts": rng.choice([1, 5, 20, 100]),
        "skew": round(rng.uniform(0, 1.6), 2),
        "drift": rng.choice([0, 5, 30]),
        "agents": rng.choice([0, 0.02, 0.2, 0.7]),
        "documents": rng.choice([0, 0.2, 0.6]),
        "continue": round(rng.uniform(0.05, 0.6), 2),
        "return": rng.choice([10, 60, 126, 400, 1200]),
    }
    if options["agents"] + options["documents"] > 1:
        options["documents"] = 0.2
    return options


def simulate(path, policy):
    run = subprocess.run(
        [*KVMESH, "simulate", str(path), "--policies", f"lru,s3fifo,{policy}", "--json"], capture_output=True, check=True
    )
    ratios = {(each["policy"], each["capacity"]): each["hitRatio"] * 100 for each in json.loads(run.stdout)["policies"]}
    capacities = sorted({capacity for _, capacity in ratios})
    return {
        other: [(ratios[policy, capacity] - ratios[other, capacity], capacity) for capacity in capacities]
        for other in ("lru", "s3fifo")
    }


def row(name, gains):
    (least, at), (most, there) = min(gains["lru"]), max(gains["lru"])
    mean = sum(gain for gain, _ in gains["lru"]) / len(gains["lru"])
    fifo, here = min(gains["s3fifo"])
    print(f"| {name} | {least:+.2f} at {at:,} | {most:+.2f} at {there:,} | {mean:+.2f} | {fifo:+.2f} at {here:,} |", flush=True)
    return least


def main():
    parser = argparse.ArgumentParser(description="Retention policies on traces drawn at random.")
    parser.add_argument("--traces", type=int, default=24)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--policy", default="hazard")
    parser.add_argument("--recorded", type=pathlib.Path, action="append", default=[])
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    worst = []
    print("| trace | least over LRU | most over LRU | mean | least over S3-FIFO |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "trace.jsonl"
        for _ in range(arguments.traces):
            options = draw(rng)
            flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
            with path.open("w") as file:
                subprocess.run([*KVMESH, "trace", *flags], stdout=file, check=True)
            worst.append(row("`" + " ".join(flags) + "`", simulate(path, arguments.policy)))
        for recorded in arguments.recorded:
            lines = recorded.read_text().splitlines(keepends=True)
            middle = len(lines) // 2
            for name, part in (("first half", lines[:middle]), ("second half", lines[middle:])):
                path.write_text("".join(part))
                worst.append(row(f"{recorded.name}, {name}", simulate(path, arguments.policy)))
    print(f"\nWorst of {len(worst)} traces: {min(worst):+.2f} points against LRU.")


if __name__ == "__main__":
    main()
