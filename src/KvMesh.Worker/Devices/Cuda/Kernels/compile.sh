#!/bin/sh
# Compiles pages.cu to pages.ptx with clang (Debian's clang 14 made the one in the repository); no CUDA toolkit is needed. The last line names the
# source by its hash, and a test compares: whoever changes the source runs this.
set -eu
cd "$(dirname "$0")"
clang -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 -nocudainc -nocudalib -O3 -S pages.cu -o pages.ptx
echo "// pages.cu $(sha256sum pages.cu | cut -d' ' -f1)" >> pages.ptx
