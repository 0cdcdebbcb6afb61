# lifeline.sh PROGRAM…: runs it on the file `input`, and ends it with all that it has started as soon as stdin is at its end: whoever
# holds the other one has no use for it any more, or is gone. The leader of a process group of its own. SIGTERM first: mmdebstrap
# removes its tree then.
exec 3<&0
trap : TERM # a handler; what is ignored, the program would ignore too
"$@" <input 3<&- &
program=$!
(
  trap : TERM
  read -r _ <&3
  kill -TERM 0
  for _ in $(seq 60); do
    kill -0 "$program" 2>/dev/null || exit
    sleep 1
  done
  kill -KILL 0
) &
watcher=$!
while kill -0 "$program" 2>/dev/null; do # a signal ends `wait` before its time
  wait "$program"
  code=$?
done
kill -KILL "$watcher"
exit "$code"
