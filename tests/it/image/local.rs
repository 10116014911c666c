//! Images in files, as other tools write them.

use std::fs;

use stead::image::{Progress, PullPolicy, Reference};
use stead::sys::command::command;
use stead::sys::report::{Kind, chain};

use super::fixture::{
    Built, Compression, Layer, Place, busybox_with, ensure, is_root, runtime, skopeo,
};

fn small(text: &str) -> Built {
    Built::new(vec![Layer::new().file("text", text, 0o644).end(Compression::Gzip)])
}

#[test]
fn a_layout_directory_is_read_again_when_it_has_changed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    small("one").write_layout(&place.path("layout"), "v1");
    runtime().block_on(async {
        let store = place.store();
        let name = format!("oci:{}", place.path("layout").display());
        let one = ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap();
        assert_eq!(one.id.to_string(), small("one").id());
        small("two").write_layout(&place.path("layout"), "v2");
        let several = ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap_err();
        assert!(
            chain(&several).contains("add one of these names to the reference: v1, v2"),
            "{}",
            chain(&several)
        );
        let two = ensure(&store, &format!("{name}:v2"), PullPolicy::IfNotPresent).await.unwrap();
        assert_eq!(fs::read_to_string(two.layers[0].join("text")).unwrap(), "two");
        let none =
            ensure(&store, &format!("{name}:v3"), PullPolicy::IfNotPresent).await.unwrap_err();
        assert_eq!(none.kind(), Kind::NotFound);
        // What was taken stays usable when the directory is gone.
        fs::remove_dir_all(place.path("layout")).unwrap();
        assert_eq!(ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap().id, one.id);
    });
}

#[test]
fn archives_of_both_kinds_are_taken_plain_and_compressed() {
    if !is_root() {
        return;
    }
    let (place, image) = (Place::new(), busybox_with(Compression::Gzip));
    image.write_layout(&place.path("layout"), "v1");
    let layout = format!("oci:{}:v1", place.path("layout").display());
    let oci = format!("oci-archive:{}", place.path("oci.tar").display());
    let docker = format!("docker-archive:{}", place.path("docker.tar").display());
    skopeo(&["copy", &layout, &format!("{oci}:v1")]);
    skopeo(&["copy", &layout, &format!("{docker}:team/app:1")]);
    assert!(command("gzip").arg("-k").arg(place.path("docker.tar")).status().unwrap().success());
    runtime().block_on(async {
        let store = place.store();
        for name in [oci.clone(), format!("{oci}:v1")] {
            let found = ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap();
            assert_eq!((found.id.to_string(), found.layers.len()), (image.id(), 2));
        }
        let saved = ensure(&store, &format!("{docker}:team/app:1"), PullPolicy::IfNotPresent)
            .await
            .unwrap();
        // The same layers: nothing was unpacked again.
        assert_eq!((saved.layers.len(), place.layers()), (2, 2));
        let none = ensure(&store, &format!("{docker}:team/app:2"), PullPolicy::IfNotPresent)
            .await
            .unwrap_err();
        assert!(
            chain(&none).contains("no image `team/app:2`: it has docker.io/team/app:1"),
            "{}",
            chain(&none)
        );
        let loaded =
            store.load(&place.path("docker.tar.gz"), None, &Progress::none()).await.unwrap();
        assert_eq!(loaded[0].reference.to_string(), "docker.io/team/app:1");
        assert_eq!(ensure(&store, "team/app:1", PullPolicy::Never).await.unwrap().id, saved.id);
        let name: Reference = "mine:1".parse().unwrap();
        store.load(&place.path("oci.tar"), Some(&name), &Progress::none()).await.unwrap();
        assert_eq!(
            ensure(&store, "mine:1", PullPolicy::Never).await.unwrap().id.to_string(),
            image.id()
        );
        // Without a name that says more than a tag, it is known by its id.
        let unnamed = store.load(&place.path("layout"), None, &Progress::none()).await.unwrap();
        assert_eq!(unnamed[0].reference, Reference::Id(unnamed[0].id));
    });
}

#[test]
fn what_is_not_an_image_is_told_by_what_is_missing() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    fs::write(place.path("text.tar"), "not an archive").unwrap();
    small("one").write_layout(&place.path("layout"), "v1");
    let blob = &small("one").layers[0].digest()[7..];
    runtime().block_on(async {
        let store = place.store();
        let told = async |name: String| {
            chain(&ensure(&store, &name, PullPolicy::IfNotPresent).await.unwrap_err())
        };
        let path = |name: &str| place.path(name).display().to_string();
        assert!(
            told(format!("oci:{}", path("empty")))
                .await
                .contains("neither `index.json` nor `manifest.json`")
        );
        assert!(told(format!("oci:{}", path("nowhere"))).await.contains("cannot open"));
        assert!(
            told(format!("docker-archive:{}", path("text.tar")))
                .await
                .contains("not a tar archive: archive ends")
        );
        fs::remove_file(place.path("layout/blobs/sha256").join(blob)).unwrap();
        let missing = told(format!("oci:{}", path("layout"))).await;
        assert!(missing.contains(&format!("`blobs/sha256/{blob}` is missing")), "{missing}");
        // A link in a layout does not lead out of it.
        std::os::unix::fs::symlink("/etc/hostname", place.path("layout/blobs/sha256").join(blob))
            .unwrap();
        let link = told(format!("oci:{}", path("layout"))).await;
        assert!(link.contains("cannot be read"), "{link}");
        // A pipe does not hold the agent up.
        fs::remove_file(place.path("layout/blobs/sha256").join(blob)).unwrap();
        nix::unistd::mkfifo(
            &place.path("layout/blobs/sha256").join(blob),
            nix::sys::stat::Mode::from_bits_truncate(0o600),
        )
        .unwrap();
        assert!(told(format!("oci:{}", path("layout"))).await.contains("not a file"));
        assert_eq!((store.list().len(), place.leftovers()), (0, 0));
    });
}
