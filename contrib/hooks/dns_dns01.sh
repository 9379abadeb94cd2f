#!/usr/bin/env sh
# shellcheck disable=SC2034
dns_dns01_info='dns01
 Publishes through dns01 on this host.
Site: the manual page dns01(1)
'

# Sourced by acme.sh, which resolves aliases and waits by itself: see acme.sh.md.

dns_dns01_add() {
  dns01 hook acme.sh add "$1" "$2"
}

dns_dns01_rm() {
  dns01 hook acme.sh rm "$1" "$2"
}
