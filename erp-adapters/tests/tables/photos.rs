//! Photos beside tables: by a column or by the id, and never a file of another folder.

use std::fs;

use erp_adapters::{Error, PHOTO_BYTES};

use crate::folder::{Folder, lines, read};

/// A folder with photos; a file beside it that is nobody's business.
fn with_photos(files: &[&str]) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("photos")).expect("a folder");
    for name in files {
        folder.put(&format!("photos/{name}"), format!("photo {name}"));
    }
    folder
}

#[tokio::test]
async fn photos_are_found_by_the_id() {
    let folder = with_photos(&["E1.jpg", "E2.PNG", "E3.txt"]);
    folder.put("p.csv", "id,name\nE1,Ada\nE2,Bo\nE3,Cy\n../E1,Di\n");
    let source = folder.open(&[("pattern", "*.csv")]);
    let (workers, faults) = read(source.as_ref()).await;
    let marked: Vec<_> = workers.iter().map(|one| one.photo.is_some()).collect();
    assert_eq!(
        (marked, lines(&faults)),
        (vec![true, true, false, false], vec![])
    );
    let photo = source
        .photo("E2")
        .await
        .expect("an answer")
        .expect("a photo");
    assert_eq!(photo.bytes, b"photo E2.PNG");
    for nobody in ["E3", "../E1", "E7"] {
        assert_eq!(source.photo(nobody).await, Ok(None), "{nobody}");
    }
    // Another photo is another mark, and what is too large is told.
    let before = workers[0].photo.clone();
    folder.put("photos/E1.jpg", "another photo");
    let large = folder.put("photos/E2.PNG", "");
    let file = fs::File::options().write(true).open(large).expect("a file");
    file.set_len(PHOTO_BYTES + 1).expect("a length");
    let (workers, faults) = read(source.as_ref()).await;
    assert_ne!(workers[0].photo, before);
    assert_eq!(workers[1].photo, None);
    assert!(
        lines(&faults)[0].contains("8.0 MiB, at most 8 MiB is taken"),
        "{faults:?}"
    );
    let error = source.photo("E2").await.expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_column_names_a_file_of_the_folder_and_of_no_other() {
    let folder = with_photos(&["ada.jpg", "bo.webp", "E3.jpg"]);
    folder.put("secret.jpg", "not for anybody");
    fs::create_dir(folder.0.join("photos/deep")).expect("a folder");
    folder.put("photos/deep/x.jpg", "deeper");
    std::os::unix::fs::symlink(
        folder.0.join("secret.jpg"),
        folder.0.join("photos/link.jpg"),
    )
    .expect("a link");
    let rows = [
        "E1,ada.jpg",
        "E2,photos/bo.webp",
        "E3,",
        "E4,../secret.jpg",
        "E5,/etc/passwd",
        "E6,link.jpg",
        "E7,deep/x.jpg",
        "E8,gone.jpg",
        "E9,photos/../../secret.jpg",
    ];
    folder.put("p.csv", format!("id,Photo\n{}\n", rows.join("\n")));
    let source = folder.open(&[("pattern", "*.csv")]);
    let (workers, faults) = read(source.as_ref()).await;
    let marked: Vec<_> = workers
        .iter()
        .filter(|one| one.photo.is_some())
        .map(|one| one.external_id.as_str())
        .collect();
    assert_eq!(marked, ["E1", "E2"], "a column that is empty means none");
    assert_eq!(faults.len(), 6, "{faults:?}");
    assert_eq!(
        lines(&faults)[0],
        "p.csv, line 5: “../secret.jpg” is no file of the folder photos; left out"
    );
    let photo = source
        .photo("E1")
        .await
        .expect("an answer")
        .expect("a photo");
    assert_eq!(photo.bytes, b"photo ada.jpg");
    for number in 3..=9 {
        assert_eq!(source.photo(&format!("E{number}")).await, Ok(None));
    }
    // What was a file is a link by now.
    fs::remove_file(folder.0.join("photos/ada.jpg")).expect("gone");
    std::os::unix::fs::symlink(folder.0.join("secret.jpg"), folder.0.join("photos/ada.jpg"))
        .expect("a link");
    assert_eq!(source.photo("E1").await, Ok(None));
}
