//! ◇ One file per command: arguments and a run function.
