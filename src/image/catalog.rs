//! ◆ What the store holds and who uses it: images, the names that lead to them, layers, pins.
//!
//! An image is kept while it is pinned. A layer is kept while an image in the catalog has it or a pull has
//! pinned it. Everything that decides what may be removed is here; the store only does it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::ImageConfig;
use super::digest::Digest;

/// An image whose layers are all in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The digest of the configuration.
    pub(super) id: Digest,
    pub(super) config: Arc<ImageConfig>,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
}

/// A layer of an image and its uncompressed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    pub(super) diff_id: Digest,
    pub(super) size: u64,
}

impl Record {
    pub(super) fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }
}

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) image: Digest,
    /// The manifest it was pulled by, to see whether a registry has another one today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifest: Option<Digest>,
}

/// Why an image stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Unknown,
    InUse,
}

/// Something to delete: the image's record and the layers nobody else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) images: Vec<Digest>,
    pub(super) layers: Vec<Layer>,
}

#[derive(Debug, Default)]
pub(super) struct Catalog {
    images: BTreeMap<Digest, Arc<Record>>,
    names: BTreeMap<String, Target>,
    /// Layers on disk, also those of no image.
    layers: BTreeMap<Digest, u64>,
    pinned: HashMap<Digest, usize>,
    pinned_layers: HashMap<Digest, usize>,
    /// When an image was last pinned or unpinned, in the store's milliseconds.
    used_ms: HashMap<Digest, u64>,
}

impl Catalog {
    pub(super) fn image(&self, id: &Digest) -> Option<&Arc<Record>> {
        self.images.get(id)
    }

    pub(super) fn images(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.images.values()
    }

    pub(super) fn name(&self, name: &str) -> Option<&Target> {
        self.names.get(name)
    }

    pub(super) fn names(&self) -> &BTreeMap<String, Target> {
        &self.names
    }

    pub(super) fn names_of(&self, id: &Digest) -> Vec<String> {
        self.names
            .iter()
            .filter(|(_, target)| target.image == *id)
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub(super) fn is_pinned(&self, id: &Digest) -> bool {
        self.pinned.contains_key(id)
    }

    /// The length of a layer that is on disk.
    pub(super) fn layer(&self, diff_id: &Digest) -> Option<u64> {
        self.layers.get(diff_id).copied()
    }

    /// Whether an image in the catalog has the layer; its bytes are then known to have reached the disk.
    pub(super) fn is_durable(&self, diff_id: &Digest) -> bool {
        self.images
            .values()
            .any(|record| record.layers.iter().any(|layer| layer.diff_id == *diff_id))
    }

    pub(super) fn add_layer(&mut self, layer: Layer) {
        self.layers.insert(layer.diff_id, layer.size);
    }

    /// Forgets a layer that turned out not to be on disk, and the images that had it.
    pub(super) fn lose_layers(&mut self, lost: &BTreeSet<Digest>) {
        self.layers.retain(|diff_id, _| !lost.contains(diff_id));
        self.images
            .retain(|_, record| !record.layers.iter().any(|layer| lost.contains(&layer.diff_id)));
        self.names.retain(|_, target| self.images.contains_key(&target.image));
    }

    pub(super) fn add_image(&mut self, record: Arc<Record>, now_ms: u64) {
        for layer in &record.layers {
            self.add_layer(*layer);
        }
        self.used_ms.insert(record.id, now_ms);
        self.images.insert(record.id, record);
    }

    /// Lets `name` lead to an image. What it led to before keeps its other names, or becomes nameless.
    pub(super) fn set_name(&mut self, name: String, target: Target) {
        self.names.insert(name, target);
    }

    pub(super) fn pin(&mut self, id: Digest, now_ms: u64) {
        *self.pinned.entry(id).or_default() += 1;
        self.used_ms.insert(id, now_ms);
    }

    pub(super) fn unpin(&mut self, id: &Digest, now_ms: u64) {
        unpin(&mut self.pinned, id);
        self.used_ms.insert(*id, now_ms);
    }

    pub(super) fn pin_layers(&mut self, diff_ids: &[Digest]) {
        for diff_id in diff_ids {
            *self.pinned_layers.entry(*diff_id).or_default() += 1;
        }
    }

    pub(super) fn unpin_layers(&mut self, diff_ids: &[Digest]) {
        for diff_id in diff_ids {
            unpin(&mut self.pinned_layers, diff_id);
        }
    }

    /// Takes a name away. The image goes with its last name, unless it is in use: then nothing changes.
    pub(super) fn remove_name(&mut self, name: &str) -> Result<Removal, Kept> {
        let target = *self.names.get(name).ok_or(Kept::Unknown)?;
        if self.names_of(&target.image).len() > 1 {
            self.names.remove(name);
            return Ok(Removal { images: Vec::new(), layers: Vec::new() });
        }
        self.remove_image(&target.image)
    }

    /// Takes an image and all its names away, unless it is in use.
    pub(super) fn remove_image(&mut self, id: &Digest) -> Result<Removal, Kept> {
        if !self.images.contains_key(id) {
            return Err(Kept::Unknown);
        }
        if self.is_pinned(id) {
            return Err(Kept::InUse);
        }
        Ok(self.remove_all(&BTreeSet::from([*id])))
    }

    /// Takes away every image that is neither pinned, nor in `in_use`, nor used at or after `since_ms`, and every
    /// layer that then nobody has.
    pub(super) fn collect(&mut self, in_use: &BTreeSet<Digest>, since_ms: u64) -> Removal {
        let idle = |id: &Digest| self.used_ms.get(id).is_none_or(|used| *used < since_ms);
        let victims = self
            .images
            .keys()
            .filter(|id| !self.is_pinned(id) && !in_use.contains(id) && idle(id))
            .copied()
            .collect();
        self.remove_all(&victims)
    }

    fn remove_all(&mut self, victims: &BTreeSet<Digest>) -> Removal {
        self.images.retain(|id, _| !victims.contains(id));
        self.names.retain(|_, target| !victims.contains(&target.image));
        self.used_ms.retain(|id, _| !victims.contains(id));
        Removal { images: victims.iter().copied().collect(), layers: self.take_unused_layers() }
    }

    fn take_unused_layers(&mut self) -> Vec<Layer> {
        let used: BTreeSet<Digest> = self
            .images
            .values()
            .flat_map(|record| record.layers.iter().map(|layer| layer.diff_id))
            .collect();
        let unused =
            |diff_id: &Digest| !used.contains(diff_id) && !self.pinned_layers.contains_key(diff_id);
        let taken: Vec<Layer> = self
            .layers
            .iter()
            .filter(|(diff_id, _)| unused(diff_id))
            .map(|(diff_id, size)| Layer { diff_id: *diff_id, size: *size })
            .collect();
        for layer in &taken {
            self.layers.remove(&layer.diff_id);
        }
        taken
    }
}

fn unpin(pins: &mut HashMap<Digest, usize>, digest: &Digest) {
    if let Some(count) = pins.get_mut(digest) {
        *count -= 1;
        if *count == 0 {
            pins.remove(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn record(id: &str, layers: &[&str]) -> Arc<Record> {
        let layers =
            layers.iter().map(|layer| Layer { diff_id: digest(layer), size: 10 }).collect();
        Arc::new(Record { id: digest(id), config: Arc::new(ImageConfig::default()), layers })
    }

    fn target(id: &str) -> Target {
        Target { image: digest(id), manifest: None }
    }

    fn sorted(mut layers: Vec<Layer>) -> Vec<Digest> {
        layers.sort_by_key(|layer| layer.diff_id);
        layers.iter().map(|layer| layer.diff_id).collect()
    }

    #[test]
    fn a_shared_layer_goes_with_the_last_image_that_has_it() {
        let mut catalog = Catalog::default();
        catalog.add_image(record("one", &["base", "a"]), 0);
        catalog.add_image(record("two", &["base", "b"]), 0);
        assert_eq!(sorted(catalog.remove_image(&digest("one")).unwrap().layers), [digest("a")]);
        let mut both = vec![digest("base"), digest("b")];
        both.sort();
        assert_eq!(sorted(catalog.remove_image(&digest("two")).unwrap().layers), both);
        assert_eq!(catalog.remove_image(&digest("two")), Err(Kept::Unknown));
    }

    #[test]
    fn an_image_in_use_is_refused_and_keeps_its_name() {
        let mut catalog = Catalog::default();
        catalog.add_image(record("one", &["a"]), 0);
        catalog.set_name("x".into(), target("one"));
        catalog.set_name("y".into(), target("one"));
        catalog.pin(digest("one"), 1);
        assert_eq!(catalog.remove_name("x").unwrap().images, []);
        assert_eq!(catalog.remove_name("y"), Err(Kept::InUse));
        assert!(catalog.name("y").is_some());
        catalog.unpin(&digest("one"), 2);
        assert_eq!(catalog.remove_name("y").unwrap().images, [digest("one")]);
        assert_eq!(catalog.remove_name("y"), Err(Kept::Unknown));
    }

    #[test]
    fn a_layer_of_a_pull_under_way_is_not_collected() {
        let mut catalog = Catalog::default();
        catalog.pin_layers(&[digest("a")]);
        catalog.add_layer(Layer { diff_id: digest("a"), size: 1 });
        catalog.add_layer(Layer { diff_id: digest("stray"), size: 1 });
        assert_eq!(sorted(catalog.collect(&BTreeSet::new(), 9).layers), [digest("stray")]);
        catalog.unpin_layers(&[digest("a")]);
        assert_eq!(sorted(catalog.collect(&BTreeSet::new(), 9).layers), [digest("a")]);
    }

    #[test]
    fn what_was_used_lately_is_not_collected() {
        let mut catalog = Catalog::default();
        catalog.add_image(record("one", &["a"]), 5);
        assert_eq!(catalog.collect(&BTreeSet::new(), 5).images, []);
        assert_eq!(catalog.collect(&BTreeSet::from([digest("one")]), 6).images, []);
        assert_eq!(catalog.collect(&BTreeSet::new(), 6).images, [digest("one")]);
    }

    proptest! {
        #[test]
        fn an_image_in_the_catalog_always_has_its_layers(steps in proptest::collection::vec((0..6_u8, 0..4_usize), 0..40)) {
            let images = [record("i", &["a", "b"]), record("j", &["b"]), record("k", &["c"]), record("l", &["a", "c"])];
            let mut catalog = Catalog::default();
            let mut pins = Vec::new();
            for (now, (step, which)) in steps.into_iter().enumerate() {
                let record = &images[which];
                match step {
                    0 | 1 => catalog.add_image(Arc::clone(record), now as u64),
                    2 if catalog.image(&record.id).is_some() => {
                        catalog.pin(record.id, now as u64);
                        pins.push(record.id);
                    }
                    3 => if let Some(id) = pins.pop() { catalog.unpin(&id, now as u64) },
                    4 => drop(catalog.remove_image(&record.id)),
                    _ => drop(catalog.collect(&BTreeSet::new(), now as u64)),
                }
                for record in catalog.images() {
                    prop_assert!(record.layers.iter().all(|layer| catalog.layer(&layer.diff_id).is_some()));
                }
                prop_assert!(pins.iter().all(|id| catalog.image(id).is_some()));
            }
        }
    }
}
