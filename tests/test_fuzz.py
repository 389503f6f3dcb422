"""The codec under libFuzzer: tests/fuzz/src/lib.rs says what holds for any bytes whatever.

Each run begins with what earlier ones found, which stays in the target directory. A longer one, by hand:
SESSION_STORE_FUZZ_SECONDS=600 ./pg_test.sh --long -- -k fuzz
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", TESTS.parent / "target")).absolute() / "fuzz"
SECONDS = int(os.environ.get("SESSION_STORE_FUZZ_SECONDS", 60))

# What cargo-fuzz would set, of which all is to be had from a stable compiler.
COVERAGE = (
    "--cfg=fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 "
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table "
    "-Cllvm-args=-sanitizer-coverage-trace-compares"
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(SECONDS + 240)]


@pytest.fixture(scope="module")
def programs():
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"host: (\S+)", version)[1]
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--target", host],  # named, so that build scripts go without
        cwd=TESTS / "fuzz", env=os.environ | {"CARGO_TARGET_DIR": str(TARGET), "RUSTFLAGS": COVERAGE}, check=True,
    )  # fmt: skip
    return TARGET / host / "release"


def from_hex(line):
    return bytes.fromhex(line.split("\t")[0])


def from_json(line):
    return line.split("\t")[1].encode()


@pytest.mark.parametrize(
    "target, seeds, seed",
    [("stored", "codec.txt", from_hex), ("jsonb", "jsonb.txt", from_hex), ("json", "codec.txt", from_json)],
)
def test_no_bytes_whatever_break_the_codec(programs, target, seeds, seed, tmp_path):
    corpus = TARGET / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate((TESTS / "golden" / seeds).read_text(encoding="utf-8").splitlines()):
        (corpus / f"seed{number}").write_bytes(seed(line))
    fuzzed = subprocess.run(
        [programs / target, corpus, f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=512",
         f"-artifact_prefix={tmp_path}/", "-print_final_stats=1"], stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    found = [path.read_bytes().hex() for path in tmp_path.iterdir()]
    assert fuzzed.returncode == 0, f"{fuzzed.stderr[-4000:]}\n{target}: {found}"
    executions = int(re.search(r"stat::number_of_executed_units:\s*(\d+)", fuzzed.stderr)[1])
    assert executions > 1000
    print(f"{target}: {executions} inputs")
