//! The API held against its own document by a stranger: schemathesis.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::{
    api::{Reader, with_ann_in},
    world::World,
};

/// Time after which the whole run is given up.
const PATIENCE: Duration = Duration::from_mins(8);

/// Settings of schemathesis. Ids are those of what is stored, else every answer would be a 404; names that are none are in
/// the other tests of the API.
fn settings(key: &str, ids: &str) -> String {
    format!(
        r#"[auth.openapi.bearer]
bearer = "{key}"

[auth.openapi.key]
api_key = "{key}"

{ids}"#
    )
}

async fn run(world: &World, folder: &str, name: &str, settings: &str) {
    let tool = Path::new(folder);
    let file = world.folder.path().join(format!("{name}.toml"));
    std::fs::write(&file, settings).unwrap();
    let url = &world.system.api_url;
    let mut command = Command::new(tool.join("python/bin/schemathesis"));
    command
        .arg("--config-file")
        .arg(&file)
        .args(["run", &format!("{url}/v1/openapi.json"), "--url", url])
        .args(["--phases", "examples,coverage"])
        .args([
            "--generation-deterministic",
            "--workers",
            "1",
            "--no-shrink",
        ])
        .args(["--no-color", "--continue-on-failure", "--warnings", "off"])
        .args(["--request-timeout", "60"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,\
             response_schema_conformance,negative_data_rejection,ignored_auth",
        ])
        // It keeps what it found in the folder in which it runs.
        .current_dir(world.folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}{failed}");
    let cases = said.lines().filter(|line| line.contains("generated"));
    println!("{name}: {}", cases.collect::<String>().trim());
}

/// Needs schemathesis: `.ci/api` installs it and says where.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis"]
async fn the_api_does_what_its_document_says() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let all = Reader::of(&world, domain::access::Scope::ALL).await;
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
    let folder = std::env::var("TERRARIUM_TEST_SCHEMATHESIS").unwrap();
    run(&world, &folder, "any ids", &settings(&all.key, "")).await;
    let ids = r#"[parameters]
"path.person" = "u_1"
"path.connection" = "user-0"
"path.type" = "daily"
"path.key" = "2026-07-02"
"path.day" = "2026-07-02"
"path.webhook" = "w-0"
"query.user_id" = "user-0"
"query.start_date" = "2026-07-01"
"#;
    run(&world, &folder, "stored ids", &settings(&all.key, ids)).await;
    world.system.stop().await;
}
