//! ◇ OCI images: references, registries, layers, the store, garbage collection.
