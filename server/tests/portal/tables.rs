//! A watched folder from outside: a file that comes is read by itself, put away when it has been applied, and
//! not before.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::app::{App, Home, Person, everywhere, until};

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn connect(administrator: &Person, name: &str, folder: &Path, watch: &str) -> String {
    let settings = json!({
        "folder": folder.to_str().unwrap(),
        "archive": folder.join("read").to_str().unwrap(),
        "pattern": "people*.csv",
        "watch": watch,
        "settle": "0",
    });
    let body = json!({ "kind": "table", "name": name, "settings": settings });
    let source = administrator.post("/sources", body).await.ok();
    source["id"].as_str().unwrap().to_owned()
}

async fn runs(administrator: &Person, source: &str) -> Vec<Value> {
    let runs = administrator.get(&format!("/sources/{source}/runs")).await;
    runs.ok()["items"].as_array().unwrap().clone()
}

async fn ended(administrator: &Person, source: &str, count: usize, phase: &str) {
    until(&format!("{count} runs are {phase}"), async || {
        let runs = runs(administrator, source).await;
        let ended = runs.iter().filter(|run| run["phase"] == phase).count();
        (ended >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_into_a_watched_folder_is_read_and_put_away() {
    everywhere(async |app: &App| {
        let tariq = app.person("tariq.mansour").await;
        let home = Home::new();
        let (folder, archive) = (home.0.clone(), home.0.join("read"));
        let source = connect(&tariq, "Plant files", &folder, "yes").await;
        let still = home.0.join("still");
        fs::create_dir_all(&still).unwrap();
        fs::write(still.join("people.csv"), "id,name\nZ1,Not watched\n").unwrap();
        let unwatched = connect(&tariq, "Other files", &still, "no").await;

        fs::write(
            folder.join("people-1.csv"),
            "id,name,title\nW1,Ida Vale,Fitter\nW2,Jon Moor,Smith\n",
        )
        .unwrap();
        ended(&tariq, &source, 1, "done").await;
        until("the file is put away", async || {
            (names(&folder).is_empty() && names(&archive).len() == 1).then_some(())
        })
        .await;
        let found = tariq.get("/employees?q=Ida").await.ok();
        assert_eq!(found["items"][0]["displayName"], "Ida Vale", "{found}");

        // One that cannot be read stays, is tried once, and says why.
        fs::write(folder.join("people-2.csv"), "shoe,size\n1,2\n").unwrap();
        ended(&tariq, &source, 1, "failed").await;
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        let all = runs(&tariq, &source).await;
        assert_eq!(all.len(), 2, "{all:?}");
        let text = all.iter().find_map(|run| run["error_text"].as_str());
        assert!(
            text.unwrap().contains("no column is called like"),
            "{text:?}"
        );
        assert_eq!(names(&folder), ["people-2.csv"]);

        // Mended, it is read; a dry run would have left it where it is.
        assert_eq!(runs(&tariq, &unwatched).await.len(), 0);
        let dry = format!("/sources/{unwatched}/runs");
        let dry = tariq.post(&dry, json!({ "dry_run": true })).await.ok();
        let dry = format!("/runs/{}", dry["id"].as_str().unwrap());
        until("the dry run is done", async || {
            let run = tariq.get(&dry).await.ok();
            (run["phase"] == "done").then_some(())
        })
        .await;
        assert_eq!(names(&still), ["people.csv"]);
        fs::write(
            folder.join("people-2.csv"),
            "id,name,title\nW1,Ida Vale,Foreman\nW2,Jon Moor,Smith\n",
        )
        .unwrap();
        ended(&tariq, &source, 2, "done").await;
        until("the second file is put away", async || {
            (names(&folder).is_empty() && names(&archive).len() == 2).then_some(())
        })
        .await;
    })
    .await;
}
