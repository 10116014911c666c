//! What stays in the store and what goes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use stead::image::{Image, ImageError, PullPolicy, Reference, Store};
use stead::sys::report::{Kind, chain};

use super::fixture::{Blob, Built, Compression, Layer, Place, ensure, is_root, runtime};

fn layer(text: &str) -> Blob {
    Layer::new().file(text, text, 0o644).end(Compression::Gzip)
}

/// Two images in a layout that share a layer.
fn two_images(place: &Place) -> [String; 2] {
    let layout = place.path("layout");
    Built::new(vec![layer("base"), layer("a")]).write_layout(&layout, "one");
    Built::new(vec![layer("base"), layer("b")]).write_layout(&layout, "two");
    ["one", "two"].map(|tag| format!("oci:{}:{tag}", layout.display()))
}

async fn take(store: &Store, name: &str) -> Image {
    ensure(store, name, PullPolicy::IfNotPresent).await.unwrap()
}

fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

#[test]
fn an_image_in_use_is_not_removed_and_a_shared_layer_stays() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let [one, two] = two_images(&place);
    runtime().block_on(async {
        let store = place.store();
        let (first, second) = (take(&store, &one).await, take(&store, &two).await);
        assert_eq!(place.layers(), 3);
        let error = store.remove(&reference(&one)).await.unwrap_err();
        assert!(matches!(error, ImageError::InUse { .. }) && error.kind() == Kind::Conflict);
        let id = first.id;
        let second_use = first.clone();
        drop(first);
        assert!(store.remove(&Reference::Id(id)).await.is_err());
        drop(second_use);
        let removed = store.remove(&reference(&one)).await.unwrap();
        assert_eq!((removed.images, removed.layers), (vec![id], 1));
        assert!(removed.bytes > 0);
        assert_eq!((place.layers(), place.leftovers()), (2, 0));
        assert!(second.layers.iter().all(|layer| layer.is_dir()));
        let error = store.remove(&reference(&one)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        // Gone also for the next process.
        drop(second);
        drop(store);
        assert_eq!(place.store().list().len(), 1);
    });
}

#[test]
fn garbage_is_what_nobody_uses_and_nobody_used_lately() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let [one, two] = two_images(&place);
    runtime().block_on(async {
        let store = place.store();
        let first = take(&store, &one).await;
        let second = take(&store, &two).await.id;
        assert_eq!(store.gc(&BTreeSet::new(), Duration::from_mins(1)).await.unwrap().images, []);
        assert_eq!(store.gc(&BTreeSet::from([second]), Duration::ZERO).await.unwrap().images, []);
        let removed = store.gc(&BTreeSet::new(), Duration::ZERO).await.unwrap();
        assert_eq!((removed.images, removed.layers, place.layers()), (vec![second], 1, 2));
        drop(first);
        store.gc(&BTreeSet::new(), Duration::ZERO).await.unwrap();
        assert_eq!((store.list().len(), place.layers(), place.leftovers()), (0, 0, 0));
        assert_eq!(fs::read_dir(place.path("store/images")).unwrap().count(), 0);
    });
}

#[test]
fn a_store_is_the_same_after_it_is_opened_again() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let [one, two] = two_images(&place);
    runtime().block_on(async {
        let store = place.store();
        let (first, _) = (take(&store, &one).await, take(&store, &two).await);
        let before: Vec<_> = store
            .list()
            .into_iter()
            .map(|image| (image.id, image.references, image.size))
            .collect();
        let busy =
            Store::open(&place.path("store"), stead::image::StoreConfig::default()).unwrap_err();
        assert!(matches!(busy, ImageError::Locked { .. }), "{}", chain(&busy));
        let id = first.id;
        drop(first);
        drop(store);
        let store = place.store();
        let after: Vec<_> = store
            .list()
            .into_iter()
            .map(|image| (image.id, image.references, image.size))
            .collect();
        assert_eq!(before, after);
        let again = store.get(&Reference::Id(id)).unwrap();
        assert_eq!(again.layers.len(), 2);
        assert_eq!(fs::metadata(place.path("store")).unwrap().permissions().mode() & 0o7777, 0o700);
    });
}

#[test]
fn what_is_damaged_is_left_out_and_comes_back_with_the_next_pull() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let [one, two] = two_images(&place);
    runtime().block_on(async {
        let store = place.store();
        let first = take(&store, &one).await.id;
        let (second, own_layer) = {
            let second = take(&store, &two).await;
            (second.id, second.layers[1].clone())
        };
        // Under a running agent: a layer is deleted by hand.
        fs::remove_dir_all(&own_layer).unwrap();
        assert!(store.get(&reference(&two)).is_none());
        fs::remove_dir_all(own_layer.parent().unwrap()).unwrap();
        assert_eq!(take(&store, &two).await.layers[1], own_layer);
        drop(store);
        // While it was away: a record is torn, a layer is gone, names are lost, and something unknown lies about.
        fs::write(place.path("store/images").join(format!("{}.json", first.hex())), "{").unwrap();
        fs::remove_dir_all(own_layer.parent().unwrap()).unwrap();
        fs::write(place.path("store/names.json"), "").unwrap();
        fs::create_dir_all(place.path("store/tmp/torn/deep")).unwrap();
        fs::create_dir_all(place.path("store/layers").join("0".repeat(64))).unwrap();
        let store = place.store();
        assert_eq!(store.list(), []);
        assert!(store.get(&Reference::Id(second)).is_none());
        super::fixture::wait_until("leftovers are removed", || place.leftovers() == 0);
        assert!(!place.path("store/layers").join("0".repeat(64)).exists());
        assert_eq!(take(&store, &one).await.id, first);
        assert_eq!(take(&store, &two).await.id, second);
    });
}

#[test]
fn after_a_power_cut_only_layers_of_whole_images_are_believed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let [one, two] = two_images(&place);
    runtime().block_on(async {
        let store = place.store();
        let (first, second) = (take(&store, &one).await, take(&store, &two).await);
        let record = place.path("store/images").join(format!("{}.json", second.id.hex()));
        let (kept, doubtful) = (first.layers[1].clone(), second.layers[1].clone());
        drop((first, second, store));
        // As if the second pull had been cut off before it was written down.
        fs::remove_file(record).unwrap();
        let store = place.store();
        assert!(doubtful.is_dir(), "the same boot: a crash tears nothing");
        drop(store);
        fs::write(place.path("store/boot"), "another boot").unwrap();
        let store = place.store();
        assert!(!doubtful.exists() && kept.is_dir());
        assert_eq!(take(&store, &two).await.layers[1], doubtful);
    });
}

/// A file system of two mebibytes.
struct Small(std::path::PathBuf);

impl Small {
    fn mounted(path: std::path::PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("tmpfs"), &path, Some("tmpfs"), flags, Some("size=2m")).unwrap();
        Self(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn an_image_that_does_not_fit_leaves_room_for_one_that_does() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let big = Layer::new().file("big", vec![7; 3 << 20], 0o644).end(Compression::Gzip);
    Built::new(vec![layer("base"), big]).write_layout(&place.path("layout"), "big");
    Built::new(vec![layer("base"), layer("a")]).write_layout(&place.path("layout"), "small");
    let _small = Small::mounted(place.path("store"));
    let name = |tag: &str| format!("oci:{}:{tag}", place.path("layout").display());
    runtime().block_on(async {
        let store = place.store();
        let error = ensure(&store, &name("big"), PullPolicy::IfNotPresent).await.unwrap_err();
        let told = chain(&error);
        assert!(told.contains("entry `big`: cannot be written: No space left on device"), "{told}");
        assert_eq!((error.kind(), place.leftovers()), (Kind::Internal, 0));
        take(&store, &name("small")).await;
    });
}
