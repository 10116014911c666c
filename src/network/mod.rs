//! ◇ Bridge networking, ports and rules, decided in pure cores and made with netlink.
