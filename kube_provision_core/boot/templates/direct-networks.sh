#!/usr/bin/env bash
# kubeadm and etcd reach the other nodes through their addresses, which must never go by way of the proxy.
set -euo pipefail
no_proxy=
# shellcheck source=/dev/null
. {{ proxy }}
networks=$(ip -4 -oneline route show scope link | cut --delimiter=' ' --fields=1 | paste --serial --delimiters=,)
printf 'no_proxy="%s,%s"\nNO_PROXY="%s,%s"\n' "$no_proxy" "$networks" "$no_proxy" "$networks" >{{ direct }}
