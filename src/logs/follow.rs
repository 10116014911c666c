//! ◇ Following.
