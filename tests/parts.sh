# shellcheck shell=sh
# The parts of tests/run and tests/full. Every part runs, whatever becomes of the others, and a table
# at the end has the time and the result of each.
#
#   part NAME COMMAND...          runs it; exit code 2 says that this machine cannot run it
#   optional_part NAME COMMAND... the same; it may be missing
#   summary                       the table, and a last line with `passed` or `failed`; returns 0 or 1

table=
bad=
start=$(date +%s)

part() { run_part required "$@"; }

optional_part() { run_part optional "$@"; }

run_part() { # required|optional name command...
    need=$1 name=$2
    shift 2
    printf '\n== %s\n' "$name"
    reason=
    began=$(date +%s)
    code=0
    "$@" || code=$?
    took=$(($(date +%s) - began))
    case $code:$need in
    0:*) result=passed ;;
    2:optional) result="not checked (optional): ${reason:-see above}" ;;
    2:*) result="NOT RUN: ${reason:-see above}" bad="$bad; $name" ;;
    *) result="FAILED (exit code $code)" bad="$bad; $name" ;;
    esac
    [ "$code" = 0 ] || printf '== %s: %s\n' "$name" "$result"
    table="$table$(row "$name" "$(clock "$took")" "$result")
"
}

row() { printf '%-44s %7s  %s' "$@"; }

# Seconds as minutes and seconds.
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

summary() {
    printf '\n%s\n%s' "$(row part time result)" "$table"
    printf '%s\n\n' "$(row all "$(clock $(($(date +%s) - start)))" '')"
    if [ -n "$bad" ]; then
        echo "tests/${0##*/}: failed: ${bad#; }"
        return 1
    fi
    echo "tests/${0##*/}: passed"
}
