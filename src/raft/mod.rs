//! ◇ openraft over SQLite: log, vote, membership, network, recovery.
