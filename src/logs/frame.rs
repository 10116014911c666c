//! ◆ Frames.
