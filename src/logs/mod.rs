//! ◇ Task logs: rotation, following, frames.
