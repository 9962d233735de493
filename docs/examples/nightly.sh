#!/bin/sh
# Lint what is new in the outbox and tell what has not been told; for cron, systemd, or by hand.
# CLAIMS, STATE and REPORTS are folders of yours. Exit status: 0 all is well, 1 there are findings, else an alarm.
set -u
umask 077
CLAIMS=${CLAIMS:-/srv/claims/outbox}
STATE=${STATE:-/var/lib/claimlint}
REPORTS=${REPORTS:-$STATE/reports}

mkdir -p "$REPORTS" || exit 2
# A name of its own for each run: what one report has told, the next does not tell again.
report=$REPORTS/$(date +%Y-%m-%dT%H%M%S).json

claimlint check "$CLAIMS" --state "$STATE/night.db" --output-format json -o "$report"
status=$?

case $status in
0) ;; # nothing new at or above --fail-on
1) echo "claimlint: new findings in $report" ;;
2) echo "claimlint: could not run, so nothing was checked" >&2 ;;
129 | 130 | 141 | 143) echo "claimlint: stopped ($status); the next run tells what this one found" >&2 ;;
*) echo "claimlint: unexpected status $status" >&2 ;;
esac
exit $status
