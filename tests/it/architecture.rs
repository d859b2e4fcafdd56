//! The arrows of dependency, and who may speak what.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

fn packages() -> BTreeMap<String, Package> {
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo tells its children which cargo it is"
    )]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    metadata
        .packages
        .into_iter()
        .map(|package| (package.name.clone(), package))
        .collect()
}

impl Package {
    /// Dependencies of the built package, without those of its tests.
    fn built_from(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
    }

    fn is_below(&self, folder: &str) -> bool {
        self.manifest_path
            .contains(&format!("/{folder}/{}/", self.name))
    }
}

/// Packages of ours that a package may depend on.
fn allowed(package: &Package) -> Option<&'static [&'static str]> {
    if package.is_below("functions") {
        return Some(&[
            "models",
            "domain",
            "store",
            "runtime",
            "terra-client",
            "destinations",
            "formats",
            "inspect",
            "export",
            "routing",
        ]);
    }
    match package.name.as_str() {
        "models" => Some(&[]),
        "domain" | "simulator" => Some(&["models"]),
        "store" | "runtime" | "terra-client" | "formats" => Some(&["models", "domain"]),
        "destinations" => Some(&["models", "domain", "formats"]),
        "inspect" => Some(&["models", "domain", "store"]),
        "routing" => Some(&["models", "domain", "store", "runtime"]),
        "export" => Some(&["models", "domain", "store", "formats", "inspect"]),
        // The local system may use everything; tests and benchmarks too.
        "terrarium" | "tests" | "bench" => None,
        other => panic!("where does `{other}` stand? Say it here and in ARCHITECTURE.md"),
    }
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    assert!(packages.len() >= 9);
    let mut wrong = Vec::new();
    for package in packages.values() {
        let Some(allowed) = allowed(package) else {
            continue;
        };
        for dependency in package
            .built_from()
            .filter(|dependency| dependency.path.is_some())
        {
            if !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn nobody_but_tests_and_benchmarks_depends_on_the_local_system() {
    for package in packages().values() {
        let depends = package
            .dependencies
            .iter()
            .any(|dependency| dependency.name == "terrarium");
        // Its own tests switch its features on.
        assert!(
            !depends || ["tests", "bench", "terrarium"].contains(&package.name.as_str()),
            "{}",
            package.name
        );
    }
}

#[test]
fn what_decides_and_what_formats_is_pure() {
    let packages = packages();
    for name in ["models", "domain", "formats"] {
        for dependency in packages[name].built_from() {
            let impure = [
                "tokio", "aws", "reqwest", "hyper", "rand", "lambda", "futures", "axum",
            ];
            let found = impure
                .iter()
                .any(|impure| dependency.name.starts_with(impure));
            assert!(!found, "{name} → {}", dependency.name);
        }
    }
}

#[test]
fn each_protocol_is_spoken_in_one_place() {
    let packages = packages();
    let speakers = |protocol: &str| {
        let speaks = |package: &&Package| {
            package
                .built_from()
                .any(|dependency| dependency.name == protocol)
        };
        let all = packages
            .values()
            .filter(|package| !["terrarium", "tests", "bench"].contains(&package.name.as_str()));
        all.filter(speaks)
            .map(|package| package.name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(speakers("object_store"), ["destinations", "store"]);
    for (protocol, allowed) in [
        ("aws-sdk-dynamodb", &["store"][..]),
        ("aws-sdk-sqs", &["destinations", "runtime"]),
        ("aws-sdk-secretsmanager", &["runtime"]),
        // The store's is the client of its object storage.
        (
            "reqwest",
            &["terra-client", "destinations", "simulator", "store"],
        ),
    ] {
        for speaker in speakers(protocol) {
            let package = &packages[speaker];
            // A function makes the client it hands on, in its `config.rs`, and does no more with it.
            let wires = protocol.starts_with("aws-sdk-")
                && package.is_below("functions")
                && named_in(package, &protocol.replace('-', "_")) == ["config.rs"];
            assert!(
                allowed.contains(&speaker) || wires,
                "{speaker} → {protocol}"
            );
        }
    }
}

/// The files of a package's sources that name `name`.
fn named_in(package: &Package, name: &str) -> Vec<String> {
    let sources = Path::new(&package.manifest_path).with_file_name("src");
    let mut folders = vec![sources.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains(name) {
                let path = path.strip_prefix(&sources).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// The modules right below a package's `lib.rs`, each with the code of all its files, without tests.
fn modules(package: &Package) -> BTreeMap<String, String> {
    fn collect(path: &Path, code: &mut String) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                collect(&entry.unwrap().path(), code);
            }
        } else {
            let file = std::fs::read_to_string(path).unwrap();
            code.push_str(file.split("#[cfg(test)]\nmod tests").next().unwrap());
        }
    }
    let sources = Path::new(&package.manifest_path).with_file_name("src");
    let mut modules = BTreeMap::<String, String>::new();
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if !["lib", "main"].contains(&name.as_str()) {
            collect(&path, modules.entry(name).or_default());
        }
    }
    modules
}

/// The names that follow `crate::` in some code, also in the braces of a `use`.
fn names_after_crate(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(first_word(rest));
            continue;
        };
        let (mut depth, mut begins) = (1, true);
        for (at, char) in group.char_indices() {
            match char {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                _ if begins && !char.is_whitespace() => {
                    names.insert(first_word(group.get(at..).unwrap()));
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn first_word(text: &str) -> String {
    let word = text.split(|char: char| !char.is_alphanumeric() && char != '_');
    word.take(1).collect()
}

/// A circle of modules that name each other, if there is one.
fn circle(mut named: BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    loop {
        let left: BTreeSet<_> = named.keys().cloned().collect();
        named.retain(|own, names| names.iter().any(|name| name != own && left.contains(name)));
        if named.len() == left.len() {
            return (!left.is_empty()).then(|| left.into_iter().collect());
        }
    }
}

#[test]
fn the_files_of_a_function_and_of_the_local_system_name_each_other_one_way() {
    let mut checked = 0;
    for package in packages().values() {
        if !package.is_below("functions") && package.name != "terrarium" {
            continue;
        }
        let modules = modules(package);
        assert!(modules.len() >= 3, "{}", package.name);
        let named = modules.iter().map(|(name, code)| {
            let names = names_after_crate(code).into_iter();
            let others = names.filter(|other| modules.contains_key(other));
            (name.clone(), others.collect())
        });
        // Modules that name the circle stand in the list too.
        assert_eq!(circle(named.collect()), None, "{}", package.name);
        checked += 1;
    }
    assert!(checked >= 4);
}

#[test]
fn a_circle_of_files_is_found() {
    let code =
        "use crate::{config::{App, Clock}, pace, step::Step}; fn a() { crate::done::close() }";
    let read: Vec<_> = names_after_crate(code).into_iter().collect();
    assert_eq!(read, ["config", "done", "pace", "step"]);
    let circle_of = |arrows: &[(&str, &str)]| {
        let mut named = BTreeMap::<String, BTreeSet<String>>::new();
        for (one, other) in arrows {
            let others = named.entry((*one).to_owned()).or_default();
            others.insert((*other).to_owned());
        }
        circle(named)
    };
    assert_eq!(circle_of(&[("a", "b"), ("a", "c"), ("b", "c")]), None);
    let found = circle_of(&[("a", "b"), ("b", "a"), ("c", "d")]);
    assert_eq!(found, Some(vec!["a".to_owned(), "b".to_owned()]));
}
