#!/bin/sh
# What busybox udhcpc calls when it has, renews or loses an address: $1 says which, the environment holds the answer
# ($interface, $ip, $mask as a prefix length, $router, $dns, $domain).

resolv_conf=${RESOLV_CONF:-/etc/resolv.conf}

configure() {
  ip address replace "$ip/${mask:-24}" ${broadcast:+broadcast "$broadcast"} dev "$interface"
  for gateway in $router; do
    ip route replace default via "$gateway" dev "$interface" && break
  done
  {
    [ -z "$domain" ] || echo "search $domain"
    for server in $dns; do echo "nameserver $server"; done
  } > "$resolv_conf"
}

case $1 in
  deconfig)
    ip address flush dev "$interface"
    ip link set "$interface" up
    ;;
  bound | renew) configure ;;
esac
