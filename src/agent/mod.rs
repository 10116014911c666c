//! ◇ Config to running process to shutdown; the one room that sees both client and server.
