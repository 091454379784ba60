#!/bin/sh
# Stands beside the gateway and outlives it by a moment. The gateway says on our stdin which process groups it has
# started ("+ pid") and which have ended ("- pid"). When that pipe ends, the gateway has ended, however it died: then
# every group it had, and every process that carries its marker ($1), is asked to stop and a second later killed.
trap '' HUP INT QUIT TERM PIPE
marker=$1
groups=

# When the process started, or nothing if there is none: tells it from a later one with the same id.
born() {
  if [ -d /proc/self ]; then
    stat=$(cat "/proc/$1/stat" 2>/dev/null)
    # proc(5): the name in brackets may hold anything; starttime is the 20th field after it.
    set -- ${stat##*) }
    [ $# -ge 20 ] || return
    shift 19
    echo "$1"
  else
    ps -o lstart= -p "$1" 2>/dev/null | tr -d ' '
  fi
}

without() {
  for group in $groups; do
    [ "${group%%=*}" = "$1" ] || printf '%s ' "$group"
  done
}

signal_groups() {
  for group in $groups; do
    pid=${group%%=*}
    now=$(born "$pid")
    # A leader that is gone may have left its group behind; a leader of another age is somebody else's.
    if [ -z "$now" ] || [ "$now" = "${group#*=}" ]; then kill -s "$1" -- "-$pid" 2>/dev/null; fi
  done
}

signal_marked() {
  for file in $(grep -lsz "^GATEHOUSE_PROCESS=$marker\." /proc/[0-9]*/environ); do
    pid=${file#/proc/}
    kill -s "$1" "${pid%/environ}" 2>/dev/null
  done
}

while read -r change pid; do
  case $change in
  +) groups="$(without "$pid")$pid=$(born "$pid")" ;;
  -) groups=$(without "$pid") ;;
  esac
done

signal_groups TERM
[ -z "$groups" ] || sleep 1
signal_groups KILL
[ -d /proc/self ] || exit 0
for round in 1 2 3; do signal_marked KILL; done
