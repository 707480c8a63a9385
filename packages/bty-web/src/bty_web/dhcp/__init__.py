"""Proxy-DHCP: what dnsmasq is told, and who answers on a network."""
