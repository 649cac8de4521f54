#!/usr/bin/env bash
# Builds everything and runs every test. The only thing it needs beforehand is the .NET 10 SDK; what else the tests run
# against (redis-server, prometheus, chromium, python3 with redis, pytest and torch) it installs with apt when it is root.
#
#   infra/test.sh               everything but the long runs
#   infra/test.sh --soak        the long runs only (trait Category=Soak)
#   infra/test.sh Protocol Cli  only the suites with these words in their names
#
# Where the packages of Orleans restore, KvMeshOrleans=true in the environment has its suites built and run, too.
#
# The last line is "N passed, N failed". It ends with failure when a suite does not build, fails, skips a test or runs none.
set -u -o pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en MSBUILDDISABLENODEREUSE=1
# Seconds that the runner waits for its test process, which a busy machine may be slow to start.
export VSTEST_CONNECTION_TIMEOUT=600
results="$root/artifacts/test-results"
# Only ends a suite that hangs: the longest takes ten minutes on two slow cores.
suite_limit=20m
python=/usr/bin/python3
passed=0
failed=0
broken=()

say() { printf '\n== %s\n' "$*"; }

# Counts one suite. Arguments: name, exit code, total, passed, failed.
count() {
    local name=$1 code=$2 total=$3 ok=$4 bad=$5
    passed=$((passed + ok))
    failed=$((failed + bad))
    if ((total == 0)) && ! $soak; then
        broken+=("$name: ran no test (exit code $code)")
        failed=$((failed + 1))
    elif ((ok + bad < total)); then
        broken+=("$name: skipped $((total - ok - bad)) of $total tests; a skipped test proves nothing")
        failed=$((failed + total - ok - bad))
    elif ((bad > 0)); then
        broken+=("$name: $bad of $total tests failed")
    elif ((code != 0)); then
        broken+=("$name: all tests passed, but the run ended with code $code")
        failed=$((failed + 1))
    fi
    printf '%s: %d passed, %d failed, %d in all\n' "$name" "$ok" "$bad" "$total"
}

finish() {
    if ((${#broken[@]} > 0)); then
        say "what is wrong"
        printf '%s\n' "${broken[@]}"
    fi
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0 && passed > 0)) || exit 1
    exit 0
}

install_missing() {
    local packages=()
    command -v redis-server >/dev/null || packages+=(redis-server)
    command -v prometheus >/dev/null || packages+=(prometheus)
    command -v chromium >/dev/null || packages+=(chromium)
    [[ -x $python ]] || packages+=(python3)
    [[ -x $python ]] && "$python" -c 'import redis' 2>/dev/null || packages+=(python3-redis)
    [[ -x $python ]] && "$python" -c 'import pytest' 2>/dev/null || packages+=(python3-pytest)
    # Importing torch takes seconds; whether it is there does not.
    [[ -x $python ]] && "$python" -c 'import importlib.util; exit(importlib.util.find_spec("torch") is None)' 2>/dev/null || packages+=(python3-torch)
    ((${#packages[@]} == 0)) && return 0

    if ((EUID != 0)); then
        echo "Missing: ${packages[*]}. Install them (apt-get install ${packages[*]}) or run this as root; tests that need them will fail."
        return 0
    fi

    say "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Services of these packages must not start: tests start what they need, on ports of their own.
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
        echo "apt could not install ${packages[*]}; tests that need them will fail."
}

# Reads one attribute of the <Counters> element of a .trx file.
trx_counter() { sed -n 's/.*<Counters [^>]*\b'"$2"'="\([0-9]*\)".*/\1/p' "$1" | head -n 1; }

run_dotnet_suite() {
    local project=$1 name code trx
    name=$(basename "$project" .csproj)
    say "$name"
    if [[ $name == KvMesh.Orleans.Tests && ${KvMeshOrleans:-} != true ]]; then
        echo "the Orleans suites were not built; they need the property KvMeshOrleans (-p:KvMeshOrleans=true, or KvMeshOrleans=true in the environment)"
        return
    fi
    trx="$results/$name.trx"
    timeout --kill-after=30s "$suite_limit" dotnet test "$project" -c Release --no-build --nologo "${filter[@]}" \
        --logger "trx;LogFileName=$trx" --logger "console;verbosity=minimal"
    code=$?
    ((code == 124 || code == 137)) && echo "$name did not end within $suite_limit."
    if [[ -f $trx ]]; then
        count "$name" "$code" "$(trx_counter "$trx" total)" "$(trx_counter "$trx" passed)" "$(trx_counter "$trx" failed)"
    else
        count "$name" "$code" 0 0 0
    fi
}

junit_counter() { sed -n 's/.*<testsuite [^>]*\b'"$2"'="\([0-9]*\)".*/\1/p' "$1" | head -n 1; }

run_python_suite() {
    local code report="$results/python.xml" total bad skipped
    say "tests/python"
    KVMESH_TEST_BINARY="$root/artifacts/bin/KvMesh.Cli/release/kvmesh" PYTHONDONTWRITEBYTECODE=1 \
        timeout --kill-after=30s "$suite_limit" "$python" -m pytest -q -p no:cacheprovider --junitxml="$report" tests/python
    code=$?
    if [[ -f $report ]]; then
        total=$(junit_counter "$report" tests)
        skipped=$(junit_counter "$report" skipped)
        bad=$(($(junit_counter "$report" failures) + $(junit_counter "$report" errors)))
        count tests/python "$code" "$total" "$((total - bad - skipped))" "$bad"
    else
        count tests/python "$code" 0 0 0
    fi
}

soak=false
words=()
for argument in "$@"; do
    case $argument in
        --soak) soak=true ;;
        -*) echo "Unknown option $argument; see the head of $0." >&2; exit 2 ;;
        *) words+=("$argument") ;;
    esac
done
filter=()
$soak && filter=(-p:RunSettingsFilePath= --filter Category=Soak) && suite_limit=4h

command -v dotnet >/dev/null || { echo "dotnet is missing: install the .NET 10 SDK (https://dot.net)." >&2; exit 1; }
rm -rf "$results" && mkdir -p "$results"
started=$SECONDS
install_missing

say "restore and build"
if ! dotnet restore KvMesh.sln -v quiet || ! dotnet build KvMesh.sln -c Release --no-restore --nologo -v quiet; then
    broken+=("the solution does not build")
    failed=$((failed + 1))
    finish
fi

if ((${#words[@]} == 0)) && ! $soak; then
    say "format"
    # Style is an error of the build (EnforceCodeStyleInBuild); white space alone is reported and costs nobody a release.
    if dotnet format whitespace . --folder --exclude artifacts --verify-no-changes -v quiet >"$results/format.txt" 2>&1; then
        echo "as the .editorconfig asks"
    else
        echo "'dotnet format whitespace . --folder --exclude artifacts' would change:"
        sed -n 's/([0-9,]*): .*WHITESPACE.*//p' "$results/format.txt" | sort -u
    fi
fi

wanted() {
    ((${#words[@]} == 0)) && return 0
    local word
    for word in "${words[@]}"; do
        [[ $1 == *"$word"* ]] && return 0
    done
    return 1
}

while IFS= read -r project; do
    wanted "$project" && run_dotnet_suite "$project"
done < <(find tests -name '*.Tests.csproj' | sort)
# Scripts in tests/python that no pytest collects belong to tests above, which run them.
if ! $soak && wanted tests/python && [[ -n $(find tests/python -name 'test_*.py' 2>/dev/null) ]]; then
    run_python_suite
fi

say "took $((SECONDS - started)) s"
finish
