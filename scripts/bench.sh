#!/usr/bin/env bash
# Measures placehost and, in the same run, what it is held against: the same work without WebAssembly on this machine, and where a
# folder with programs for them is named (PEERS=DIR), operating system processes, Erlang on one node and on two, Open MPI over TCP and
# over shared memory, kernels, and Racket's distributed places, as far as `cc`, `erl`, `mpicc` and `raco` are installed.
# Prints `name value unit` lines, then ratios. Nothing is asserted: a shared machine's speed drifts, its ratios hardly.
#
#   scripts/bench.sh            all of it, about two minutes
#   IDLE=100000 scripts/bench.sh   with 100,000 idle places (wants vm.max_map_count of 1048576)
#   NODES=100 scripts/bench.sh     with the memory and the idle time of 100 nodes
#   SORT=10737418 scripts/bench.sh     with a sort of 1 GiB rather than of 100 MB
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
cargo build --quiet --release -p placehost --bins --benches
scripts/build-guests.sh

guest=target/guests/wasm32-wasip2/release/examples
results=$(mktemp)
export PLACEHOST_CACHE=$PWD/target/bench-cache
# A cluster of this machine, and the nodes that are started, which end with the script.
lab=$(mktemp -d)
export PLACEHOST_HOME=$lab/home
nodes=()
clean_up() {
    for node in ${nodes[@]+"${nodes[@]}"}; do kill "$node" 2>/dev/null || true; done
    rm -rf "$results" "$lab"
}
trap clean_up EXIT

measure() { target/release/placehost run "$@" | tee -a "$results"; }
bench() { measure --dir /proc::/proc:ro "$guest/bench.wasm" "$@"; }

# Wall time of a whole run of hello, the best of some.
start_of_run() {
    local name=$1 runs=$2 best=999999 i from to
    shift 2
    for ((i = 0; i < runs; i++)); do
        from=$(date +%s%N)
        target/release/placehost run "$@" "$guest/hello_world.wasm" >/dev/null
        to=$(date +%s%N)
        if ((to - from < best * 1000)); then best=$(((to - from) / 1000)); fi
    done
    awk -v n="$name" -v us="$best" 'BEGIN { printf "placehost.%s %.3f ms\n", n, us / 1000 }' | tee -a "$results"
}

echo "# this machine"
cargo bench --quiet -p placehost --bench limits | grep '^limit\.' | tee -a "$results"

echo "# placehost"
bench spawn_rate -- 5000
bench round_trip -- 200000 64
bench round_trip -- 20000 65536
bench one_way -- 1000000 64
bench one_way -- 20000 65536
bench one_way -- 2000 1048576
bench fairness -- 1000 4
bench recovery -- 1000 2>/dev/null
bench idle -- 10000
bench open_waits -- 20000
bench open_calls -- 20000
bench rpc
bench rpc_restart -- 200
if [ "${IDLE:-0}" -gt 0 ]; then bench --max-places $((IDLE + 100)) idle -- "$IDLE"; fi
start_of_run run.cached 20
start_of_run run.not_cached 3 --no-cache

# Starts a node, and sets `address` to where it listens.
start_node() {
    local said=$lab/node.${#nodes[@]}
    mkfifo "$said"
    target/release/placehost node --listen 127.0.0.1:0 --allow-nodes "$@" 2>"$said" &
    nodes+=($!)
    # Node `NAME` (ID) listens on ADDRESS for …
    exec {pipe}<"$said"
    read -r -u "$pipe" -a words
    address=${words[5]}
}

# The module with a custom section of 32 random bytes, so that no node knows it.
unknown() {
    cat "$1"
    printf '\0\x24\x03any'
    head -c 32 /dev/urandom
}

# A job, with what it says of its times, which kernels print on stderr.
job() { target/release/placehost mpirun "$@" 2>&1 | grep '^placehost\.' | tee -a "$results"; }

# Megabytes a second of a command that is given so many bytes, from its start to its end, and the most memory that its process had,
# which is looked at ten times a second.
megabytes() {
    local name=$1 bytes=$2 from took process watcher kib
    shift 2
    from=$(date +%s%N)
    "$@" >/dev/null &
    process=$!
    # Elsewhere, for who looks now and then whether it has ended counts up to a tenth of a second that it did not take.
    while awk '/^VmHWM:/ { print $2; there = 1 } END { exit !there }' /proc/$process/status 2>/dev/null; do sleep 0.1; done >"$lab/peak" &
    watcher=$!
    wait $process
    took=$(($(date +%s%N) - from))
    wait $watcher || true
    kib=$(tail -n 1 "$lab/peak")
    awk -v n="$name" -v b="$bytes" -v ns="$took" -v kib="${kib:-0}" \
        'BEGIN { printf "%s %.1f MB/s\n%s.memory %.1f MiB\n", n, b * 1000 / ns, n, kib / 1024 }' | tee -a "$results"
}
mapreduce() { megabytes "placehost.mapreduce.$1" "$2" target/release/placehost run "${@:3}"; }

echo "# MapReduce"
# Compiled beforehand, so that this is not measured.
for each in mapreduce terasort sort word_count; do target/release/placehost inspect "$guest/$each.wasm" >/dev/null; done
target/release/placehost run "$guest/mapreduce.wasm" empty_tasks -- 1000 |
    awk '{ printf "placehost.mapreduce.empty_task %s ms\n", $1 }' | tee -a "$results"
mkdir "$lab/out" "$lab/scratch"
sort=${SORT:-1000000}
# Four tasks at a time have 64 MiB each.
mapreduce "terasort.$sort" $((sort * 100)) --scratch "$lab/scratch" --dir "$lab/out::/out" "$guest/terasort.wasm" main -- \
    "$sort" memory=64 to=/out/sorted
rm -r "$lab/out/sorted"
mkdir "$lab/lines"
# Lines of 99 letters, without a pattern.
letters=$(printf 'A-Z%.0s' {1..9})A-V
head -c $((sort * 99)) /dev/urandom | LC_ALL=C tr '\000-\377' "$letters" | fold -w 99 >"$lab/lines/all"
bytes=$(stat -c %s "$lab/lines/all")
mapreduce "sort.$sort" "$bytes" --scratch "$lab/scratch" --dir "$lab/lines::/data:ro" --dir "$lab/out::/out" "$guest/sort.wasm" main -- \
    memory=64 to=/out/sorted
megabytes "coreutils.sort.$sort" "$bytes" env LC_ALL=C sort -S 256M --parallel=2 -T "$lab/scratch" -o "$lab/out/lines" "$lab/lines/all"
cat "$lab"/out/sorted/part-* | cmp - "$lab/out/lines"
rm -r "$lab"/out/{sorted,lines} "$lab/lines"
if compgen -G "${PEERS:-/nowhere}/data/shard*.txt" >/dev/null; then
    bytes=$(cat "$PEERS"/data/shard*.txt | wc -c)
    for slots in 1 2; do
        mapreduce "word_count.slots$slots" "$bytes" --dir "$PEERS/data::/data:ro" --dir "$lab/out::/out" "$guest/word_count.wasm" main -- \
            "slots=$slots" to=/out/words
        rm -r "$lab/out/words"
    done
    rustc --edition 2021 -C opt-level=3 "$PEERS/native/wordcount.rs" -o "$lab/wordcount" 2>/dev/null
    for slots in 1 2; do "$lab/wordcount" $slots "$PEERS"/data/shard*.txt 2>/dev/null | sed 's/\(wordcount.t[12]\)\.[0-9]*MiB/\1/' | tee -a "$results"; done
fi

echo "# MPI"
for ranks in 2 4 8; do job -n $ranks "$guest/mpi_bench.wasm" collectives; done
job -n 2 "$guest/mpi_bench.wasm" round_trip
from=$(date +%s%N)
target/release/placehost mpirun -n 8 "$guest/mpi_bench.wasm" nothing
awk -v ns=$(($(date +%s%N) - from)) 'BEGIN { printf "placehost.mpi.start.np8 %.3f ms\n", ns / 1e6 }' | tee -a "$results"
for ranks in 1 2; do
    job -n $ranks "$guest/npb_ep.wasm" ep -- S
    for kernel in is cg mg ft; do job -n $ranks --memory 512MiB "$guest/npb_$kernel.wasm" $kernel -- W; done
    job -n $ranks "$guest/kmeans.wasm" kmeans -- 262144
done
for kernel in is cg; do
    target/release/placehost mpirun -n 1 --preempt off "$guest/npb_$kernel.wasm" $kernel -- W 2>&1 |
        sed -n 's/^\(placehost\.npb\.[^ ]*\)/\1.no_preempt/p' | tee -a "$results"
done

echo "# two nodes"
cargo bench --quiet -p placehost --bench quinn | grep '^quinn\.' | tee -a "$results"
target/release/placehost cluster init --name bench >/dev/null 2>&1
start_node
far=$address
bench --allow-nodes far_spawn -- "$far" 2000
bench --allow-nodes far -- "$far"
bench --allow-nodes far_beside -- "$far" 5000
bench --allow-nodes recovery -- 200 "$far" 2>/dev/null
bench --allow-nodes far_channels -- "$far" 10000
bench --allow-nodes rpc -- "$far"
start_node --no-cache
for _ in 1 2 3; do
    unknown "$guest/bench.wasm" >"$lab/unknown.wasm"
    measure --allow-nodes --no-cache "$lab/unknown.wasm" far_first -- "$address"
done
printf '#!/bin/sh\nfor last; do :; done\nexec sh -c "exec $last"\n' >"$lab/ssh" && chmod +x "$lab/ssh"
bench --allow-nodes launch -- "$lab/ssh" "$PWD/target/release/placehost"

if compgen -G "${PEERS:-/nowhere}/data/shard*.txt" >/dev/null; then
    start_node --dir "$PEERS/data::/data:ro"
    first=$address
    start_node --dir "$PEERS/data::/data:ro"
    bytes=$(cat "$PEERS"/data/shard*.txt | wc -c)
    mapreduce word_count.nodes2 "$bytes" --allow-nodes --dir "$PEERS/data::/data:ro" --dir "$lab/out::/out" \
        "$guest/word_count.wasm" main -- slots=1 to=/out/words "$first" "$address"
fi

start_node
for each in 1 4; do job --hosts "$far:$each,$address:$each" "$guest/mpi_bench.wasm" collectives; done
hosts="$far:2,$address:2"
for _ in 1 2; do
    start_node
    hosts+=",$address:2"
done
job --hosts "$hosts" "$guest/mpi_bench.wasm" collectives

if [ "${NODES:-0}" -gt 0 ]; then
    first=${#nodes[@]}
    for ((i = 0; i < NODES; i++)); do start_node; done
    ticks() { for node in "${nodes[@]:first}"; do awk '{ print $14 + $15 }' "/proc/$node/stat"; done | awk '{ sum += $1 } END { print sum }'; }
    before=$(ticks)
    sleep 5
    after=$(ticks)
    for node in "${nodes[@]:first}"; do awk '/^Pss:/ { print $2 }' "/proc/$node/smaps_rollup"; done |
        awk '{ sum += $1 } END { printf "placehost.nodes.n%d.memory %.3f MiB\n", NR, sum / NR / 1024 }' | tee -a "$results"
    awk -v n="$NODES" -v t="$((after - before))" 'BEGIN { printf "placehost.nodes.n%d.idle_cpu %.3f percent\n", n, t / 5 / n }' | tee -a "$results"
fi

if [ -n "${PEERS:-}" ]; then
    echo "# peers"
    rm -rf target/peers && mkdir -p target/peers/bin
    cp -r "$PEERS"/{erlang,proc,mpi,racket,shim,net.sh} target/peers/ && chmod -R u+w target/peers
    peer() { timeout 120 "$@" | tee -a "$results" || echo "# failed: $*"; }
    # In a network and process name space of its own, which only root may make: what a peer leaves behind ends with it.
    apart() { PATH=$PWD/target/peers/shim:$PATH peer target/peers/net.sh "$@"; }
    if command -v erl >/dev/null; then
        peer target/peers/erlang/run.sh local
        apart target/peers/erlang/run.sh nodes
    fi
    if command -v mpicc >/dev/null; then
        apart target/peers/mpi/run.sh tcp 2
        apart target/peers/mpi/run.sh shm 2 4 8
    fi
    rustc --edition 2021 -C opt-level=3 "$PEERS/native/kernels.rs" -o target/peers/bin/kernels 2>/dev/null
    for class in S W; do peer target/peers/bin/kernels ep,is,cg,kmeans $class 1 2>/dev/null; done
    if command -v raco >/dev/null; then
        raco make target/peers/racket/dist.rkt
        apart racket target/peers/racket/dist.rkt
    fi
    cc -O3 target/peers/proc/proc.c -o target/peers/bin/proc -lpthread && peer target/peers/bin/proc
fi

echo "# ratios: what placehost takes, as a multiple of the other (below 1 it is better)"
awk '
    { value[$1] = $2 }
    function per(what, ours, theirs, inverse) {
        if (!(ours in value) || !(theirs in value) || value[theirs] == 0 || value[ours] == 0) return
        ratio = inverse ? value[theirs] / value[ours] : value[ours] / value[theirs]
        printf "%-42s %10.2f x %s\n", what, ratio, theirs
    }
    END {
        per("spawn, reply, exit", "placehost.spawn.first_reply_exit", "limit.thread.first_reply_exit")
        per("spawn, reply", "placehost.spawn.first_reply_exit", "erlang.spawn.first_reply_p50")
        per("spawn, reply, exit", "placehost.spawn.first_reply_exit", "os-exec.spawn.first_reply_p50")
        per("round trip, 64 B", "placehost.ping.64B", "limit.mailbox.ping.2_threads")
        per("round trip, 64 B", "placehost.ping.64B", "erlang.ping.64B.p50")
        per("round trip, 64 B", "placehost.ping.64B", "os-pipe.ping.64B.p50")
        per("one way, 64 B", "placehost.tput.64B.rate", "erlang.tput.64B.rate", 1)
        per("one way, 64 B, many at a time", "placehost.tput_many.64B.rate", "erlang.tput.64B.rate", 1)
        per("one way, 64 KiB", "placehost.tput.65536B", "limit.two_copies.65536B", 1)
        per("one way, 64 KiB", "placehost.tput.65536B", "erlang.tput_copy.65536B", 1)
        per("one way, 1 MiB", "placehost.tput.1048576B", "limit.two_copies.1048576B", 1)
        per("calls, one client", "placehost.rpc.1_client", "erlang.rpc.get_rate", 1)
        per("memory of an idle place", "placehost.idle.n10000.memory", "erlang.idle.n10000.rss_per_place")
        for (ranks = 2; ranks <= 8; ranks *= 2) {
            per("allreduce of 8 B over " ranks, "placehost.mpi.allreduce.8B.np" ranks, "openmpi-shm.allreduce.8B.np" ranks)
            per("allreduce of 8 MiB over " ranks, "placehost.mpi.allreduce.8388608B.np" ranks, "openmpi-shm.allreduce.8388608B.np" ranks)
        }
        per("kernel ep, S", "placehost.npb.ep.S.np1", "native.ep.S.t1")
        per("kernel is, W", "placehost.npb.is.W.np1", "native.is.W.t1")
        per("kernel is, W, without preemption", "placehost.npb.is.W.np1.no_preempt", "native.is.W.t1")
        per("kernel cg, W", "placehost.npb.cg.W.np1", "native.cg.W.t1")
        per("kernel cg, W, without preemption", "placehost.npb.cg.W.np1.no_preempt", "native.cg.W.t1")
        per("kernel kmeans", "placehost.kmeans.262144.np1", "native.kmeans.W.t1")
        for (name in value) if (match(name, /^coreutils\.sort\.[0-9]+$/)) per("sort of lines", "placehost.mapreduce." substr(name, 11), name, 1)
        for (slots = 1; slots <= 2; slots++) per("word count, " slots " at a time", "placehost.mapreduce.word_count.slots" slots, "native.wordcount.t" slots, 1)
        per("between nodes: round trip, 64 B", "placehost.far.ping.64B", "quinn.ping.64B")
        per("between nodes: round trip, 64 KiB", "placehost.far.ping.65536B", "quinn.ping.65536B")
        per("between nodes: one way, 64 KiB", "placehost.far.tput.65536B", "quinn.tput.65536B", 1)
        per("between nodes: one way, 1 MiB", "placehost.far.tput.1048576B", "quinn.tput.1048576B", 1)
        count = split("erlang-dist openmpi-tcp racket-dist", peers, " ")
        for (i = 1; i <= count; i++) {
            peer = peers[i]
            per("between nodes: spawn, reply", "placehost.far.spawn.first_reply", peer ".spawn.first_reply_p50")
            per("between nodes: round trip, 64 B", "placehost.far.ping.64B", peer ".ping.64B.p50")
            per("between nodes: round trip, 64 KiB", "placehost.far.ping.65536B", peer ".ping.65536B.p50")
            per("between nodes: one way, 64 B", "placehost.far.tput.64B.rate", peer ".tput.64B.rate", 1)
            per("between nodes: one way, 64 KiB", "placehost.far.tput.65536B", peer ".tput.65536B", 1)
            per("between nodes: one way, 1 MiB", "placehost.far.tput.1048576B", peer ".tput.1048576B", 1)
        }
        per("a node launched, until a reply", "placehost.far.launch.first_reply", "racket-dist.node_spawn_to_first_reply")
        per("start of a cached run", "placehost.run.cached", "limit.process.start")
    }
' "$results"
