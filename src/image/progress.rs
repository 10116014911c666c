//! ◆ What a pull tells about itself while it goes on.

use std::fmt;
use std::sync::Arc;

use super::digest::Digest;

/// One thing that happened. Digests are those of uncompressed layers, which stay the same wherever a layer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The image has this many layers.
    Layers(usize),
    /// The layer is in the store already.
    Present(Digest),
    /// The layer is being fetched; `bytes` is its compressed length where it is known.
    Started { layer: Digest, bytes: Option<u64> },
    /// This many more compressed bytes of the layer have been unpacked.
    Read { layer: Digest, bytes: u64 },
    /// The layer is verified and in the store.
    Done(Digest),
}

/// Where events go. Called from several threads; it must return at once.
#[derive(Clone)]
pub struct Progress(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl Progress {
    /// Nobody listens.
    pub fn none() -> Self {
        Self(None)
    }

    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(super) fn tell(&self, event: Event) {
        if let Some(listener) = &self.0 {
            listener(event);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress(listened to)" } else { "Progress(none)" })
    }
}
