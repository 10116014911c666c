//! ◇ Proposes commands; runs the leader's loops, each with a ◆ core.
