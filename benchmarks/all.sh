#!/usr/bin/env bash
# Every verb of the LoadTest in turn, as one Markdown document on standard output. The machine should do nothing else meanwhile.
#
#   benchmarks/all.sh                                   all verbs, about half an hour
#   VERBS="native shm" REPEATS=3 benchmarks/all.sh      only these, each three times
set -euo pipefail

if (($# > 0)); then
    usage=$(sed -n '2,/^[^#]/s/^#\( \|$\)//p' "$0")
    case $1 in
        -h | --help) echo "$usage"; exit 0 ;;
        *) printf 'Unknown argument %s.\n\n%s\n' "$1" "$usage" >&2; exit 2 ;;
    esac
fi

cd "$(dirname "$0")/.."
dotnet build -c Release benchmarks/KvMesh.LoadTest >&2
program=(dotnet artifacts/bin/KvMesh.LoadTest/release/KvMesh.LoadTest.dll)
repeats=${REPEATS:-5}

echo "# LoadTest, $(date -u +%Y-%m-%d)"
echo
echo "Commit $(git rev-parse --short HEAD). $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, $(free -g | awk '/Mem:/ {print $2}') GiB,"
echo "kernel $(uname -r), congestion control $(cat /proc/sys/net/ipv4/tcp_congestion_control), $(redis-server --version | cut -d' ' -f3), memcached $(memcached --version | cut -d' ' -f2),"
echo ".NET $(dotnet --version). Load before: $(cut -d' ' -f1-3 /proc/loadavg). Each verb: \`dotnet run -c Release --project benchmarks/KvMesh.LoadTest -- <verb> --repeats $repeats\`."
for verb in ${VERBS:-memory allocator engine match advice retention map native shm peers resp openloop disk restart redistier mesh sequences}; do
  echo
  "${program[@]}" "$verb" --repeats "$repeats" || echo "## $verb: failed, see above"
done
echo
echo "Load after: $(cut -d' ' -f1-3 /proc/loadavg)."
