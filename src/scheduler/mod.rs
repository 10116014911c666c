//! ◆ (Input, seed, now) to a plan and its explanation.
