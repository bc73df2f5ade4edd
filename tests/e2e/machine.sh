# shellcheck shell=bash disable=SC2034
# How much of the machine went elsewhere while something was measured: what processes of others used, and what the host of a
# virtual machine took for itself. A figure from such a time says nothing, so that tests with bounds in milliseconds ask here.

CALM_PERCENT=10 # more than that elsewhere, and a figure does not count against us

# machine_ticks: "<ticks that processes and the host used> <of these, by this test and everything that it started>"
machine_ticks() {
    local all
    all=$(awk '/^cpu / {print $2 + $3 + $4 + $9}' /proc/stat)
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v all="$all" -v root="$$" '{
            pid = $1; sub(/^.*\) /, "")
            parent[pid] = $2; ticks[pid] = $12 + $13 + $14 + $15 # its ended children included
        }
        END {
            for (pid in parent) {
                for (p = pid; p > 1 && p != root; p = parent[p]);
                if (p == root)
                    own += ticks[pid]
            }
            print all, own + 0
        }'
}

machine_mark() {
    MACHINE_MARK="$(machine_ticks) $(now_ms)"
}

# machine_elsewhere: percent of the machine since the mark
machine_elsewhere() {
    local all own ms all_then own_then
    read -r all own ms <<<"$MACHINE_MARK"
    read -r all_then own_then < <(machine_ticks)
    echo $(((all_then - all - (own_then - own)) * 100000 / (($(now_ms) - ms + 1) * $(getconf CLK_TCK) * $(nproc))))
}
