//! Disks that are full: `TERRARIUM_TEST_SMALL_DISKS` is a folder with a small disk for `postgres` and one for
//! `folder`. It is empty where the machine mounts none, which the script says.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Kind, Outcome},
    net::Network,
};
use models::data::DataType;
use serde_json::{Value, json};

use crate::{databases, postgrest::connect, samples, server};

fn disk(name: &str) -> Option<PathBuf> {
    let disks = server("TERRARIUM_TEST_SMALL_DISKS");
    (!disks.is_empty()).then(|| Path::new(&disks).join(name))
}

fn destination(kind: KindName, config: &Value) -> Box<dyn Kind> {
    let secrets = match kind {
        KindName::Folder => json!({}),
        _ => json!({"password": "secret"}),
    };
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    let context = Context::new(
        samples::DESTINATION,
        Network::Local,
        Clock::new(samples::now),
    );
    open(kind, config.as_object().unwrap(), &secrets, context).unwrap()
}

/// Delivers to a disk with room, to a full one, and when there is room again.
async fn assert_told(kind: &dyn Kind, disk: &Path) {
    // Larger than what a table has left in its pages.
    let large = |person: u32, revision| {
        let note: String = (0..200_000_u32)
            .filter_map(|number| char::from_digit(number.wrapping_mul(2_654_435_761) >> 28, 16))
            .collect();
        let record = format!(r#"{{"note":"{note}"}}"#);
        samples::record_of(person, DataType::Daily, "2026-11-20", &record, revision)
    };
    assert_eq!(
        kind.deliver(&[large(1, 1)]).await.unwrap(),
        [Outcome::APPLIED]
    );
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let mut full = None;
    // What a database keeps free in its files takes some records more.
    for person in 2..200 {
        match kind.deliver(&[large(person, 1)]).await {
            Err(fault) => full = Some(fault),
            Ok(outcomes) => match &outcomes[0] {
                Outcome::Retry(fault) => full = Some(fault.clone()),
                outcome => assert_eq!(*outcome, Outcome::APPLIED),
            },
        }
        if full.is_some() {
            break;
        }
    }
    let fault = full.unwrap();
    assert_eq!(fault.name(), "misconfigured", "{fault:?}");
    assert!(fault.to_string().contains("is full"), "{fault:?}");
    drop(file);
    std::fs::remove_file(ballast).unwrap();
    let outcomes = kind.deliver(&[large(1, 2)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED]);
}

#[tokio::test]
#[ignore = "needs a server"]
async fn postgres_says_that_its_disk_is_full() {
    let Some(disk) = disk("postgres") else { return };
    let client = connect("postgres", "postgres").await;
    let place = format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        disk.join("data").display()
    );
    for statement in [
        "DROP DATABASE IF EXISTS full_disk WITH (FORCE)",
        "DROP TABLESPACE IF EXISTS small",
        &place,
        "CREATE DATABASE full_disk TABLESPACE small",
    ] {
        client.batch_execute(statement).await.unwrap();
    }
    let config = json!({
        "host": "127.0.0.1", "port": server("TERRARIUM_TEST_POSTGRES").parse::<u16>().unwrap(),
        "database": "full_disk", "user": "postgres", "sslmode": "disable",
    });
    assert_told(&*destination(KindName::Postgres, &config), &disk).await;
}

/// MariaDB dies where its disk is full in fact, so a trigger says it.
#[tokio::test]
#[ignore = "needs a server"]
async fn mysql_says_that_its_disk_is_full() {
    databases::sql(&[
        "DROP DATABASE IF EXISTS full_disk",
        "CREATE DATABASE full_disk",
        "CREATE OR REPLACE USER full IDENTIFIED BY 'secret'",
        "GRANT ALL ON full_disk.* TO full",
    ])
    .await;
    let config = json!({
        "host": "127.0.0.1", "port": server("TERRARIUM_TEST_MYSQL").parse::<u16>().unwrap(),
        "database": "full_disk", "user": "full", "ssl_mode": "disabled",
    });
    let mysql = destination(KindName::Mysql, &config);
    let day = |revision| [samples::daily(1, "2026-11-20", 1, revision)];
    assert_eq!(mysql.deliver(&day(1)).await.unwrap(), [Outcome::APPLIED]);
    databases::sql(&[
        "CREATE TRIGGER full_disk.full BEFORE INSERT ON full_disk.terrarium_daily FOR EACH ROW \
         SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021",
    ])
    .await;
    let fault = mysql.deliver(&day(2)).await.unwrap_err();
    assert_eq!(
        (fault.name(), fault.code()),
        ("misconfigured", Some("1021"))
    );
    assert!(fault.to_string().contains("is full"), "{fault:?}");
    databases::sql(&["DROP TRIGGER full_disk.full"]).await;
    assert_eq!(mysql.deliver(&day(2)).await.unwrap(), [Outcome::APPLIED]);
}

#[tokio::test]
#[ignore = "needs a disk"]
async fn a_folder_says_that_its_disk_is_full() {
    let Some(disk) = disk("folder") else { return };
    let out = disk.join("data");
    drop(std::fs::remove_dir_all(&out));
    std::fs::create_dir(&out).unwrap();
    assert_told(
        &*destination(KindName::Folder, &json!({"path": out})),
        &disk,
    )
    .await;
}
